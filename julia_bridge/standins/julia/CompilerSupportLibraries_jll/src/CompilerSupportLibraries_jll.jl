"""
The first package juliacall loads, so the place for what it needs of newer Julias: `Meta.parseall` and the keyword `io`
of `Pkg.activate`, both of 1.6. The libraries that the real package carries come with Debian's Julia.
"""
module CompilerSupportLibraries_jll

import Pkg

# Precompiled code may not change other modules, so both are defined when the package is loaded.
function __init__()
    @eval Meta parseall(text::AbstractString) = Base.parse_input_line(String(text))
    @eval Pkg.API activate(path::AbstractString; io = stderr) =
        (Base.ACTIVE_PROJECT[] = joinpath(abspath(path), "Project.toml"); nothing)
end

end
