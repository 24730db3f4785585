"""
Saving a SHA-RNN in Julia as one safetensors file, for `sharnn julia import`. Standard library alone, Julia 1.5 or newer.

As a script it converts what SHA-RNN.jl saved by `Knet.save(file, "model", model)`, in a project that has Knet and
whatever else SHA-RNN.jl wants:

    julia --project=PROJECT save_parameters.jl CHECKOUT model.jld2 parameters.safetensors

CHECKOUT is SHA-RNN.jl's, whose types the file needs to be read.
"""
module SaveParameters

const ASCII = Dict(:γ => :gamma, :β => :beta)
const NOT_LEARNED = (:lin2, :ϵ)                                   # Boom's constant matrix, LayerNorm's eps

"Name => array of every parameter below `x`, named by the fields that lead to it, joined by dots."
parameters(x, name) = nameof(typeof(x)) === :Param ? parameters(x.value, name) : fields(x, name)
parameters(x::AbstractArray{<:AbstractFloat}, name) = [name => Array(x)]
parameters(x::Vector{Any}, name) = [p for (i, y) in enumerate(x) for p in parameters(y, "$name.$i")]
parameters(::Union{Nothing,Number,AbstractString,Function}, name) = []

function fields(x, name)
    nameof(typeof(x)) === :RNN && return parameters(x.w, "$name.w")
    return [p for f in fieldnames(typeof(x)) if !(f in NOT_LEARNED)
              for p in parameters(getfield(x, f), "$name.$(get(ASCII, f, f))")]
end

parameters(model) = [
    parameters(model.encoder, "encoder"); parameters(model.blocks, "blocks"); parameters(model.decoder, "decoder")]

"Sizes of a SHA-RNN.jl model, under the keys of a recording's config."
function config(model, named)
    sizes = Dict(name => size(array) for (name, array) in named)
    heads = [block.attn.heads for block in model.blocks if block.attn !== nothing]
    return Pair{String,Any}[                                      # Any: an integer beside a float stays an integer
        "emb" => sizes["encoder.w"][1], "vocab" => sizes["encoder.w"][2], "hidden" => sizes["blocks.1.ff.lin1.w"][1],
        "nlayers" => length(model.blocks), "npos" => model.num_max_positions,
        "heads" => isempty(heads) ? 1 : heads[1], "tie" => model.decoder === nothing,
        "dropouti" => model.idrop, "dropouth" => model.hdrop, "dropout" => model.drop]
end

json(x::Union{Integer,Bool}) = string(x)
json(x::AbstractFloat) = string(Float64(x))
json(x::Union{AbstractVector{<:Pair},Tuple{Vararg{Pair}}}) = "{" * join(["$(json(k)):$(json(v))" for (k, v) in x], ",") * "}"
json(x::Union{AbstractVector,Tuple}) = "[" * join(json.(x), ",") * "]"
function json(x::AbstractString)
    escaped(c) = c in ('"', '\\') ? "\\$c" : c < ' ' ? "\\u" * string(UInt16(c); base = 16, pad = 4) : string(c)
    return "\"" * join(escaped(c) for c in x) * "\""
end

"""
    write_safetensors(path, named, metadata)

Write name => Array{Float32} pairs. An array goes byte for byte, so a reader that counts axes row by row sees them
reversed, and its shape is written so.
"""
function write_safetensors(path, named, metadata)
    offset, entries = 0, Pair{String,Any}["__metadata__" => collect(metadata)]
    for (name, array) in named
        stop = offset + sizeof(array)
        shape = collect(reverse(size(array)))
        push!(entries, name => ["dtype" => "F32", "shape" => shape, "data_offsets" => [offset, stop]])
        offset = stop
    end
    header = json(entries)
    header *= " "^mod(-sizeof(header), 8)                         # so that the data begins at a multiple of 8
    beside = "$path.part"
    open(beside, "w") do file
        write(file, htol(UInt64(sizeof(header))), header)
        for (_, array) in named
            write(file, array)
        end
    end
    mv(beside, path; force = true)
    return
end

"Write a model, and its vocabulary unless that is empty."
function save(path, model, words = String[])
    named = [name => convert(Array{Float32}, array) for (name, array) in parameters(model)]
    write_safetensors(path, named, [
        "format" => "SHA-RNN.jl parameters 1", "config" => json(config(model, named)),
        "vocabulary" => json(collect(String, words))])
end

end

if abspath(PROGRAM_FILE) == @__FILE__
    length(ARGS) == 3 || error("usage: julia --project=PROJECT save_parameters.jl CHECKOUT model.jld2 OUTPUT")
    include(joinpath(abspath(ARGS[1]), "src", "train.jl"))        # defines the types, and brings Knet
    model = Knet.load(ARGS[2], "model")
    SaveParameters.save(ARGS[3], model, model.vocab.i2v)
end
