"""
MinTrustLAMB as each program runs it, on arrays by their parameters' names: row 8 of docs/semantics.md, written from
that page and not from either program's source. Standard library alone, Julia 1.5 or newer.

`rule` has the "program", "julia" or "paper", and the rest of the settings by name:

    "julia"    lr, total (updates of the schedule; nothing for no schedule), warmup (a share of them), schedule
    "paper"    lr, warmup (updates; 0 for none), decay, clip

All numbers of a rule are Float64, and are rounded to the parameters' type where they meet one.
"""
module Lamb

using LinearAlgebra

const BETA1, BETA2, EPS = 0.9, 0.999, 1e-6
const LEAST_TRUST, MOST_NORM = 0.25, 10.0

const after_warmup = Dict(
    "warmup_constant" => x -> 1.0,
    "warmup_cosine" => x -> 0.5 * (1 + cos(pi * x)),
    "warmup_linear" => x -> 1 - x)

"The learning rate of update number `t`, from 1."
function rate(rule, t)
    if rule["program"] == "julia"
        rule["total"] === nothing && return rule["lr"]
        x = t / rule["total"]
        return rule["lr"] * (x < rule["warmup"] ? x / rule["warmup"] : after_warmup[rule["schedule"]](x))
    end
    return rule["lr"] * (t < rule["warmup"] ? t / rule["warmup"] : 1.0)
end

"""
What of a parameter has one norm. In SHA-RNN.jl that is all of it. Smerity's LSTM has four tensors where SHA-RNN.jl has
one vector: two matrices and two biases.
"""
function pieces(rule, name, w)
    rule["program"] == "paper" && occursin(r"\brnn\.w$", name) || return [Colon()]
    H = round(Int, sqrt(length(w) / 8 + 1) - 1)         # 8HH + 8H numbers
    ends = cumsum([4H * H, 4H * H, 4H, 4H])
    return [stop-length+1:stop for (stop, length) in zip(ends, (4H * H, 4H * H, 4H, 4H))]
end

"Weight decay: in SHA-RNN.jl of vectors alone, in Smerity's program of everything."
decay(rule, w) = rule["program"] == "paper" ? rule["decay"] : ndims(w) == 1 ? 1.2e-6 : 0.0

"""
The gradients as they come to the update. Under `julia` each is scaled down to norm 0.25 on its own, but for those that
AutoGrad has as sparse arrays, which the clip misses: the LSTM's, and the embedding's where the decoder is not tied.
Under `paper` all of them together are.
"""
function clipped(rule, gradients)
    if rule["program"] == "julia"
        untied = haskey(gradients, "decoder.w")
        missed(name) = endswith(name, "rnn.w") || untied && name == "encoder.w"
        return Dict(name => missed(name) ? g : within(g, 0.25) for (name, g) in gradients)
    end
    total = sqrt(sum(norm(g)^2 for (_, g) in sort(collect(gradients); by = first)))
    # torch's clip_grad_norm_ adds 1e-6 to the norm that it divides by.
    share = min(one(total), oftype(total, rule["clip"]) / (total + oftype(total, 1e-6)))
    return Dict(name => g .* share for (name, g) in gradients)
end

within(g, limit) = (n = norm(g); n > limit ? g .* (oftype(n, limit) / n) : g)

"Zeros for the moments of parameters before their first update, as `update!` takes them."
zero_moments(parameters) = Dict(name => zero(w) for (name, w) in parameters)

"""
    update!(rule, t, parameters, gradients, first, second)

Update number `t`, from 1, of every parameter that has a gradient, in place, with its `first` and `second` moment.
"""
function update!(rule, t, parameters, gradients, first, second)
    for (name, g) in clipped(rule, gradients)
        w, m, v = parameters[name], first[name], second[name]
        R = eltype(w)
        m .= R(BETA1) .* m .+ R(1 - BETA1) .* g
        v .= R(BETA2) .* v .+ R(1 - BETA2) .* g .* g
        step = m ./ (sqrt.(v) .+ R(EPS))
        amount = R(decay(rule, w))
        iszero(amount) || (step .+= amount .* w)
        for piece in pieces(rule, name, w)
            part, move = view(w, piece), view(step, piece)
            size_of_w, size_of_step = min(norm(part), R(MOST_NORM)), norm(move)
            trust = iszero(size_of_w) || iszero(size_of_step) ? one(R) : size_of_w / size_of_step
            part .-= R(rate(rule, t)) .* max(trust, R(LEAST_TRUST)) .* move
        end
    end
end

end
