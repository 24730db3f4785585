"""
Training the reference wholly in Julia: forward, the tape's gradients, MinTrustLAMB, and the state that is carried on.
"""
module Training

using Random
using ..Lamb, ..Reference, ..Tape

"""
Parameters as SHA-RNN.jl draws them, by name (row 7 of docs/semantics.md): weights of layers and the embedding normal
with deviation 0.1 over the root of their second axis, the LSTM's gates Xavier uniform, each on its own, and both
forget biases 1; LayerNorms 1 and 0, all else 0.
"""
function initial(sizes, seed)
    random = MersenneTwister(seed)
    return Dict{String,Any}(name => draw(random, sizes, name) for name in Reference.parameter_names(sizes))
end

function draw(random, sizes, name)
    H, F, V = sizes["emb"], sizes["hidden"], sizes["vocab"]
    weight(shape...) = randn(random, Float32, shape...) .* Float32(0.1 / sqrt(shape[2]))
    last = join(split(name, '.')[max(1, end - 1):end], '.')
    last == "encoder.w" && return weight(H, V)
    last == "decoder.w" && return weight(V, H)
    last == "lin1.w" && return weight(F, H)
    last == "q.w" && return weight(H, H)
    last == "linear.w" && return weight(2H, H)
    last == "rnn.w" && return lstm(random, H)
    endswith(last, ".gamma") && return ones(Float32, H)
    wide = Dict("decoder.b" => V, "lin1.b" => F, "linear.b" => 2H)
    last in ("attn.qs", "attn.ks", "attn.vs") && return zeros(Float32, H, 1)
    return zeros(Float32, get(wide, last, H))
end

"Knet's flat vector: eight matrices, then the two biases of the gates i, f, g, o."
function lstm(random, H)
    bound = Float32(sqrt(6 / 2H))
    matrices = (2 .* rand(random, Float32, 8H * H) .- 1) .* bound
    bias = [zeros(Float32, H); ones(Float32, H); zeros(Float32, 2H)]
    return reshape([matrices; bias; bias], 1, 1, :)
end

mutable struct Run
    sizes
    parameters
    rule
    first                                               # moments, as the parameters
    second
    updates::Int
    hidden                                              # what the last segment left, or nothing to begin
    memories
end

Run(sizes, parameters, rule) =
    Run(sizes, parameters, rule, Lamb.zero_moments(parameters), Lamb.zero_moments(parameters), 0, nothing, nothing)

"""
One update by the summed gradients of `segments`, each with "ids" and "labels" (B, T), counted from 1, and "new",
whether new sequences begin with it. Returns the segments' losses; `run.parameters` is changed in place.
"""
function update!(run::Run, segments)
    total, losses = nothing, Float64[]
    for segment in segments
        segment["new"] && (run.hidden = run.memories = nothing)
        loss, gradients = differentiated!(run, segment["ids"], segment["labels"])
        push!(losses, loss)
        total = total === nothing ? gradients : Dict(name => total[name] .+ g for (name, g) in gradients)
    end
    run.updates += 1
    Lamb.update!(run.rule, run.updates, run.parameters, total, run.first, run.second)
    return losses
end

"The loss of a segment and its gradients; the run's state is that after it."
function differentiated!(run, ids, labels)
    tape = Tape.Gradient[]
    tracked = Dict(name => Tape.variable(w, tape) for (name, w) in run.parameters)
    note(name, x) = x
    loss, run.hidden, memories = Reference.segment(run.sizes, tracked, ids, labels, run.hidden, run.memories, note)
    # Where no block attends there is no memory to hand on, as in `Bridge.answer`.
    run.memories = any(m -> ndims(m) == 3, memories) ? memories : nothing
    Tape.backward!(loss)
    return Tape.constant(loss)[], Dict(name => Tape.total!(w.gradient) for (name, w) in tracked)
end

end
