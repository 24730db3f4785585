"""
What Python calls: one segment through SHA-RNN.jl itself or through the reference, in plain arrays and Dicts.

`sizes` has emb, hidden, vocab, layers, heads, max_memory and tied. `ids` and `labels` are (B, T) and count from 1,
label 0 being left out of the loss. `state` is empty to begin; else it has "hidden", for every block its "h" and "c",
(H, B) each, and, unless no block holds any row, "memory", the (H, B, M) of attending blocks by the block's number.

The answer has the "loss", a state of that form, and the first "portion" of all arrays (see `portion`): every
intermediate as "eval/<name>", in the order noted, and from `reference_gradients` also the gradient of the loss by every
parameter, "grad/<name>", and by every intermediate through which parameters reach the loss, "agrad/<name>".
"""
module Bridge

include("tape.jl")
include("reference.jl")
include("lamb.jl")
include("training.jl")
include("upstream.jl")

reference_names(sizes) = Reference.parameter_names(sizes)

reference(arguments...) = answer(Reference.segment, arguments...)

function reference_gradients(sizes, parameters, arguments...)
    tape = Tape.Gradient[]
    tracked = Dict(name => Tape.variable(x, tape) for (name, x) in parameters)
    return answer(Reference.segment, sizes, tracked, arguments...)
end

function upstream_names(source, project, sizes)
    Upstream.load(source, project)
    return Base.invokelatest(Upstream.parameter_names, sizes)
end

function upstream(source, project, arguments...)
    Upstream.load(source, project)
    return Base.invokelatest(answer, Upstream.segment, arguments...)
end

function answer(segment, sizes, parameters, ids, labels, state)
    # Otherwise the garbage of a large model's last segment would lie beside this one's arrays until Julia collects it.
    sum(bytes, values(parameters)) > PORTION && GC.gc()
    noted = Pair{String,Any}[]
    note(name, x) = (push!(noted, name => x); x)
    note("x", ids), note("y", labels)
    hidden = haskey(state, "hidden") ? [(s["h"], s["c"]) for s in state["hidden"]] : nothing
    memories = haskey(state, "memory") ? [rows(state["memory"], i) for i in 1:sizes["layers"]] : nothing
    loss, hidden, memories = segment(sizes, parameters, ids, labels, hidden, memories, note)
    gradients = loss isa Tape.Tracked ? differentiate(loss, parameters, noted) : []
    loss = Tape.constant(loss)[]
    note("loss", [loss])
    return Dict{String,Any}(
        "loss" => loss,
        "hidden" => [Dict{String,Any}("h" => h, "c" => c) for (h, c) in hidden],
        "memory" => Dict{String,Any}("$i" => m for (i, m) in enumerate(memories) if ndims(m) == 3),
        "portion" => portion([["eval/$name" => Tape.constant(x) for (name, x) in noted]; gradients]))
end

"The memory of block i. A block that does not attend has an empty vector in its place, as SHA-RNN.jl gives it."
rows(memory, i) = get(memory, "$i", Float32[])

"The gradients of `loss`, by name. An intermediate without a gradient is a constant, or is only carried on."
function differentiate(loss, parameters, noted)
    Tape.backward!(loss)
    reached = [name => x for (name, x) in noted if x isa Tape.Tracked && x.gradient.total !== nothing]
    return [
        ["grad/$name" => Tape.total!(p.gradient) for (name, p) in sort(collect(parameters); by = first)]
        ["agrad/$name" => x.gradient.total for (name, x) in reached]]
end

# ---- training the reference

initial(sizes, seed) = Training.initial(sizes, seed)

"""
One update of MinTrustLAMB, number `t` of `rule` (lamb.jl): the "parameters" and both moments, "first" and "second",
after it. `moments` is empty before the first.
"""
function lamb(rule, t, parameters, gradients, moments)
    first, second = (get(() -> Lamb.zero_moments(parameters), moments, name) for name in ("first", "second"))
    Lamb.update!(rule, t, parameters, gradients, first, second)
    return Dict{String,Any}("parameters" => parameters, "first" => first, "second" => second)
end

"Runs that train, by the ticket that names them."
const runs = Dict{Int,Training.Run}()

"Begin a run from `parameters` by `rule`, and return its ticket."
function begin_training(sizes, parameters, rule)
    ticket = tickets[] += 1
    runs[ticket] = Training.Run(sizes, parameters, rule)
    return ticket
end

"One update by `segments` (training.jl): their losses, and a portion of all parameters after it, by name."
function training_update(ticket, segments)
    run = runs[ticket]
    losses = Training.update!(run, segments)
    arrays = [name => copy(w) for (name, w) in sort(collect(run.parameters); by = first)]
    return Dict{String,Any}("losses" => losses, "portion" => portion(arrays))
end

end_training(ticket) = (delete!(runs, ticket); nothing)

# ---- handing out arrays

"The most bytes that one call returns: they are in memory three times, in Julia, in Python and in between."
const PORTION = 2^26

"Arrays that are still to be returned, by the ticket that fetches them."
const left = Dict{Int,Vector}()
const tickets = Ref(0)

bytes(x) = sizeof(Tape.constant(x))

"""
    portion(arrays) -> Dict

The "names" and "values" of the first pairs of `arrays`, as many as fit, and a "ticket" for `next_portion`, `nothing`
when these were the last.
"""
function portion(arrays)
    fit = max(1, searchsortedlast(cumsum([bytes(x) for (_, x) in arrays]), PORTION))
    ticket = nothing
    if fit < length(arrays)
        ticket = tickets[] += 1
        left[ticket] = arrays[fit+1:end]
    end
    names, values = first.(arrays[1:fit]), Any[x for (_, x) in arrays[1:fit]]
    return Dict{String,Any}("names" => names, "values" => values, "ticket" => ticket)
end

next_portion(ticket) = portion(pop!(left, ticket))

end
