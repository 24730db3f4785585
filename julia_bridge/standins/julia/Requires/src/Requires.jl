"`@require` without the waiting: none of the optional packages can be loaded where this stand-in is used."
module Requires

export @require

macro require(package, code)
    return nothing
end

end
