"""
A reference statement of what SHA-RNN.jl computes: the `julia` semantics of docs/semantics.md, one segment forward
without dropout. Written from that page and not from SHA-RNN.jl's source; standard library alone, Julia 1.5 or newer.

Sizes: T steps, B sequences, H embedding, F Boom, V vocabulary, A heads of d = H/A features, N memory limit,
M memory rows held, K = M + T keys. A layer is a callable struct, its fields the parameters under SHA-RNN.jl's
names; R is their element type. `note(name, x)` hands out the intermediate `x` and returns it.
Tracked parameters (tape.jl) make everything that depends on them tracked, with the same values.
"""
module Reference

using LinearAlgebra, Statistics
using ..Tape

"`note`, with `prefix` before every name."
within(note, prefix) = (name, x) -> note(prefix * name, x)

sigm(x) = inv(one(x) + exp(-x))
gelu(x) = x * sigm(oftype(x, 1.702) * x)
gelu_slope(x) = (a = oftype(x, 1.702); s = sigm(a * x); s + a * x * s * (one(x) - s))

Tape.partials(::typeof(sigm), y, x) = (ȳ -> ȳ .* y .* (1 .- y),)
Tape.partials(::typeof(gelu), y, x) = (ȳ -> ȳ .* gelu_slope.(x),)

"Softmax over the second axis. The maximum that is subtracted cancels out, so it can be a constant."
softmax(x) = (e = exp.(x .- maximum(constant(x); dims = 2)); e ./ sum(e; dims = 2))

"Matrix times the first axis of any array."
mul(w, x) = reshape(w * reshape(x, size(x, 1), :), size(w, 1), size(x)[2:end]...)

"Matrix products over the first two axes: (m, n, A, B), (n, p, A, B) -> (m, p, A, B)."
function bmm(x, y)
    z = similar(x, size(x, 1), size(y, 2), size(x, 3), size(x, 4))
    for b in axes(z, 4), a in axes(z, 3)
        z[:, :, a, b] = x[:, :, a, b] * y[:, :, a, b]
    end
    return z
end

function bmm(x::Tracked, y::Tracked)
    a, b = x.value, y.value
    transposed(m) = permutedims(m, (2, 1, 3, 4))
    return record(bmm(a, b), x, y) do z̄, x̄, ȳ
        add!(x̄, bmm(z̄, transposed(b)))
        add!(ȳ, bmm(transposed(a), z̄))
    end
end

struct Embed{R}
    w::Values{R,2}                                      # (H, V)
end
(l::Embed)(ids) = l.w[:, ids]                           # (B, T) -> (H, B, T)

struct Linear{R}
    w::Values{R,2}                                      # (out, in)
    b::Values{R,1}                                      # (out,)
end
(l::Linear)(x) = mul(l.w, x) .+ l.b                     # (in, ...) -> (out, ...)

struct LayerNorm{R}
    gamma::Values{R,1}                                  # (H,)
    beta::Values{R,1}                                   # (H,)
end
function (l::LayerNorm{R})(x) where {R}                 # (H, B, T) -> (H, B, T)
    μ = mean(x; dims = 1)                               # (1, B, T)
    σ = std(x; dims = 1, mean = μ)                      # (1, B, T), over H - 1
    return l.gamma .* (x .- μ) ./ (σ .+ R(1e-12)) .+ l.beta
end

struct LSTM{R}
    w::Values{R,3}                                      # (1, 1, 8HH + 8H), Knet's flat vector
end
function (l::LSTM)(x, h, c)                             # (H, B, T), (H, B), (H, B)
    H, B, T = size(x)
    w = vec(l.w)
    Wx = reshape(w[1:4H*H], H, 4H)'                     # (4H, H), rows in the order i, f, g, o
    Wh = reshape(w[4H*H+1:8H*H], H, 4H)'                # (4H, H)
    b = w[8H*H+1:8H*H+4H] .+ w[8H*H+4H+1:end]           # (4H,)
    hs = map(1:T) do t
        z = Wx * x[:, :, t] .+ Wh * h .+ b              # (4H, B)
        i, f, g, o = (z[k*H+1:(k+1)*H, :] for k in 0:3)
        c = sigm.(f) .* c .+ sigm.(i) .* tanh.(g)
        h = sigm.(o) .* tanh.(c)
    end
    return reshape(reduce(hcat, hs), H, B, T), h, c
end

struct Overparam{R}
    linear::Linear{R}                                   # H -> 2H
end
function (l::Overparam)(u)                              # (H, 1) -> (H, 1)
    x = l.linear(u)
    H = size(u, 1)
    return sigm.(x[H+1:end, :]) .* tanh.(x[1:H, :])
end

struct Attention{R}
    q::Linear{R}
    qln::LayerNorm{R}
    qs::Values{R,2}                                     # (H, 1)
    ks::Values{R,2}                                     # (H, 1)
    vs::Values{R,2}                                     # (H, 1)
    vq::Overparam{R}
end
function (l::Attention{R})(h, keys, mask, heads, note) where {R}  # (H, B, T), (H, B, K), (T, K) -> (H, B, T)
    H, B, T = size(h)
    qs, ks, vs = note("sig_qs", sigm.(l.qs)), note("sig_ks", sigm.(l.ks)), note("sig_vs", sigm.(l.vs))
    gain = note("overparam_vs", l.vq(vs))                         # (H, 1)
    q = note("q", qs .* note("q_ln", l.qln(note("q_linear", l.q(h)))))
    k = note("k", ks .* keys)
    v = note("v", gain .* keys)
    split(x) = permutedims(reshape(x, :, heads, B, size(x, 3)), (4, 1, 2, 3))  # (H, B, T) -> (T, d, A, B)
    qk = note("qk", bmm(split(q), permutedims(split(k), (2, 1, 3, 4))))        # (T, K, A, B)
    scores = note("scores", qk ./ sqrt(R(T)))
    focus = note("focus", softmax(note("masked_scores", scores .+ mask)))
    mix = note("mix_heads", bmm(focus, split(v)))                              # (T, d, A, B)
    return note("mix", reshape(permutedims(mix, (2, 3, 4, 1)), H, B, T))
end

struct Boom{R}
    lin1::Linear{R}                                     # H -> F
end
function (l::Boom{R})(x, note) where {R}                # (H, B, T) -> (H, B, T)
    H, B, T = size(x)
    x = note("boom_gelu", gelu.(note("boom_lin1", l.lin1(x))))    # (F, B, T)
    sums = sum(reshape(x, H, :, B, T); dims = 1)[1, :, :, :]      # (F/H, B, T), chunk k all summed into output k
    return note("boom", cat(sums, zeros(R, H - size(sums, 1), B, T); dims = 1))
end

abstract type Block{R} end

struct PlainBlock{R} <: Block{R}
    lnstart::LayerNorm{R}
    rnn::LSTM{R}
    lnff::LayerNorm{R}
    lnxff::LayerNorm{R}
    ff::Boom{R}
end

struct AttendingBlock{R} <: Block{R}
    lnstart::LayerNorm{R}
    rnn::LSTM{R}
    lnmem::LayerNorm{R}
    lnmid::LayerNorm{R}
    attn::Attention{R}
    lnff::LayerNorm{R}
    lnxff::LayerNorm{R}
    ff::Boom{R}
end

"Hidden states after attention, and the new memory; a plain block keeps an empty vector in place of one."
attend(l::PlainBlock{R}, h, memory, mask, heads, limit, note) where {R} = h, R[]
function attend(l::AttendingBlock, h, memory, mask, heads, limit, note)
    keys = note("bigh", cat(memory, note("lnmem", l.lnmem(h)); dims = 3))      # (H, B, K)
    memory = note("new_mem", keys[:, :, max(1, end - limit + 1):end])          # (H, B, min(K, N))
    h = note("lnmid", l.lnmid(h))
    return note("post_attn", h .+ l.attn(h, keys, mask, heads, within(note, "attn."))), memory
end

function (l::Block)(x, (h, c), memory, mask, heads, limit, note)  # (H, B, T), ((H, B), (H, B)), (H, B, M), (T, K)
    x, h, c = l.rnn(note("lnstart", l.lnstart(note("in", x))), h, c)
    note("rnn", x), note("hidden_h", h[:, :, :]), note("hidden_c", c[:, :, :])  # (H, B, T), (H, B, 1) twice
    note("post_rnn", x)                                 # after a dropout
    x, memory = attend(l, x, memory, mask, heads, limit, note)
    x = note("out", note("lnff", l.lnff(x)) .+ l.ff(note("lnxff", l.lnxff(x)), note))
    return x, (h, c), memory
end

struct SHARNN{R}
    encoder::Embed{R}
    blocks::Vector{Block{R}}
    decoder::Union{Linear{R},Nothing}                   # nothing: tied to the encoder, without a bias
    heads::Int
    limit::Int                                          # N
end

"""
    model(ids, hidden, memories, note) -> logits, hidden, memories

`ids` (B, T) count from 1, the logits are (V, B, T). `hidden` has (h, c), each (H, B), for every block, `memories` an
(H, B, M), or `R[]` for a plain block; either is `nothing` to begin.
"""
function (l::SHARNN{R})(ids, hidden, memories, note) where {R}
    N = l.limit
    h = note("embed", l.encoder(ids))                   # (H, B, T)
    H, B, T = size(h)
    if hidden === nothing
        hidden = [(zeros(R, H, B), zeros(R, H, B)) for _ in l.blocks]
    end
    M = 0
    if memories === nothing
        memories = [zeros(R, H, B, 0) for _ in l.blocks]
    else
        # Block 1 decides how many of its oldest rows every memory loses before it is attended to. If block 1 is
        # plain, that depends on its empty vector, which like any vector has length 1 along a third axis.
        lost = max(0, size(memories[1], 3) + T - N)
        note("maxmem", [N - T]), note("mem_start_idx", [lost + 1])
        memories = [memory[:, :, lost+1:end] for memory in memories]
        M = maximum(size(memory, 3) for memory in memories)
        for (i, memory) in enumerate(memories)
            note("mem_in.$i.size", collect(size(memory)))
            l.blocks[i] isa AttendingBlock && note("mem_in.$i", memory)
        end
    end
    mask = note("mask", R[k > M + t ? -Inf : 0 for t in 1:T, k in 1:M+T])      # (T, K)
    new_hidden, new_memories = [], []
    for (i, block) in enumerate(l.blocks)
        h, hc, memory = block(h, hidden[i], memories[i], mask, l.heads, N, within(note, "blocks.$i."))
        push!(new_hidden, hc), push!(new_memories, memory)
    end
    note("h_final", h)
    logits = note("logits", l.decoder === nothing ? mul(l.encoder.w', h) : l.decoder(h))
    return logits, new_hidden, new_memories
end

"Mean negative log likelihood of `labels` (B, T), not counting labels 0, by `logits` (V, B, T)."
function nll(logits, labels)
    logits = logits .- maximum(constant(logits); dims = 1)
    logp = logits .- log.(sum(exp.(logits); dims = 1))
    counted = [CartesianIndex(labels[i], i) for i in findall(!iszero, labels)]
    return sum(logp[counted]) ./ -length(counted)
end

# A parameter's name is the names of the fields that lead to it, joined by dots.

block_type(R, i, layers) = i == layers - 1 ? AttendingBlock{R} : PlainBlock{R}

names(::Type{<:Values}, name) = [name]
names(S, name) = [n for (f, F) in zip(fieldnames(S), fieldtypes(S)) for n in names(F, "$name.$f")]

build(::Type{<:Values}, name, parameters) = parameters[name]
build(S, name, parameters) = S((build(F, "$name.$f", parameters) for (f, F) in zip(fieldnames(S), fieldtypes(S)))...)

function parameter_names(sizes)
    R, layers = Float32, sizes["layers"]
    blocks = [n for i in 1:layers for n in names(block_type(R, i, layers), "blocks.$i")]
    return [names(Embed{R}, "encoder"); blocks; sizes["tied"] ? String[] : names(Linear{R}, "decoder")]
end

function model(sizes, parameters)
    R, layers = eltype(parameters["encoder.w"]), sizes["layers"]
    blocks = [build(block_type(R, i, layers), "blocks.$i", parameters) for i in 1:layers]
    decoder = sizes["tied"] ? nothing : build(Linear{R}, "decoder", parameters)
    return SHARNN{R}(build(Embed{R}, "encoder", parameters), blocks, decoder, sizes["heads"], sizes["max_memory"])
end

"One segment: its loss, and the hidden states and memories to continue from."
function segment(sizes, parameters, ids, labels, hidden, memories, note)
    logits, hidden, memories = model(sizes, parameters)(ids, hidden, memories, note)
    hidden, memories = [constant.(hc) for hc in hidden], constant.(memories)
    return nll(logits, labels), hidden, memories
end

end
