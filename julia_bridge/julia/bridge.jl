"""
What Python calls: one segment through SHA-RNN.jl itself or through the reference, in plain arrays and Dicts.

`sizes` has emb, hidden, vocab, layers, heads, max_memory and tied. `ids` and `labels` are (B, T) and count from 1,
label 0 being left out of the loss. `state` is empty to begin; else it has "hidden", for every block its "h" and "c",
(H, B) each, and, unless no block holds any row, "memory", the (H, B, M) of attending blocks by the block's number.
The answer has all intermediates, "names" and "values" in the order noted, the "loss", and a state of that form.
"""
module Bridge

include("reference.jl")
include("upstream.jl")

reference_names(sizes) = Reference.parameter_names(sizes)

reference(arguments...) = answer(Reference.segment, arguments...)

function upstream_names(source, project, sizes)
    Upstream.load(source, project)
    return Base.invokelatest(Upstream.parameter_names, sizes)
end

function upstream(source, project, arguments...)
    Upstream.load(source, project)
    return Base.invokelatest(answer, Upstream.segment, arguments...)
end

function answer(segment, sizes, parameters, ids, labels, state)
    names, values = String[], Any[]
    note(name, x) = (push!(names, name); push!(values, x); x)
    note("x", ids), note("y", labels)
    hidden = haskey(state, "hidden") ? [(s["h"], s["c"]) for s in state["hidden"]] : nothing
    memories = haskey(state, "memory") ? [rows(state["memory"], i) for i in 1:sizes["layers"]] : nothing
    loss, hidden, memories = segment(sizes, parameters, ids, labels, hidden, memories, note)
    note("loss", [loss])
    return Dict{String,Any}(
        "names" => names, "values" => values, "loss" => loss,
        "hidden" => [Dict{String,Any}("h" => h, "c" => c) for (h, c) in hidden],
        "memory" => Dict{String,Any}("$i" => m for (i, m) in enumerate(memories) if ndims(m) == 3))
end

"The memory of block i. A block that does not attend has an empty vector in its place, as SHA-RNN.jl gives it."
rows(memory, i) = get(memory, "$i", Float32[])

end
