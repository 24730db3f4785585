"""
The few functions that SHA-RNN.jl's `src/model.jl` takes from Knet, forward on the CPU, written from Knet's
documentation. This is not the package Knet: it is found only on the bridge's own load path, and a project with the
real one takes its place. Nothing is differentiated here, so a parameter is simply an array.
"""
module Knet

using LinearAlgebra

export KnetArray, Param, RNN, bmm, dropout, nll, param, param0, sigm, softmax, value

struct KnetArray{T,N} end

const Param = Array

value(x) = x

param(size...; atype, init) = convert(atype, init(size...))
param0(size...; atype) = param(size...; atype = atype, init = zeros)

sigm(x) = inv(one(x) + exp(-x))

"Dropout outside training: the identity."
dropout(x, p) = x

function softmax(x; dims)
    e = exp.(x .- maximum(x; dims = dims))
    return e ./ sum(e; dims = dims)
end

"""
    nll(scores, labels; dims = 1, average = true)

Negative log likelihood of `labels` (counted from 1, 0 left out) by unnormalised `scores`, whose first axis is the
classes: its mean, or its sum and the number of labels counted.
"""
function nll(scores, labels; dims = 1, average = true)
    dims == 1 || throw(ArgumentError("the bridge's nll has the classes along the first axis; dims is $dims"))
    scores = scores .- maximum(scores; dims = 1)
    logp = scores .- log.(sum(exp.(scores); dims = 1))
    counted = findall(!iszero, labels)
    total = -sum(eltype(logp)[logp[labels[i], i] for i in counted])
    return average ? total / length(counted) : (total, length(counted))
end

"Matrix products over the first two axes: (m, n, ...), (n, p, ...) -> (m, p, ...)."
function bmm(x, y; transA = false, transB = false)
    oriented(a, trans) = trans ? permutedims(a, (2, 1, 3:ndims(a)...)) : a
    x, y = oriented(x, transA), oriented(y, transB)
    z = similar(x, size(x, 1), size(y, 2), size(x)[3:end]...)
    for i in CartesianIndices(size(x)[3:end])
        z[:, :, i] = x[:, :, i] * y[:, :, i]
    end
    return z
end

"""
    rnn = RNN(input, hidden; atype)
    y = rnn(x)

One LSTM layer, (X, B, T) -> (H, B, T), that continues from `rnn.h` and `rnn.c`, (H, B, 1) each or 0 for zeros, and
leaves the final states there. `rnn.w` is (1, 1, 4HX + 4HH + 8H): input matrices, recurrent matrices, then their two
biases, each for the gates i, f, c, o, every matrix stored transposed.
"""
mutable struct RNN
    w
    h
    c
    hidden::Int
end

RNN(input, hidden; atype) =
    RNN(param(1, 1, 4hidden * (input + hidden + 2); atype = atype, init = zeros), nothing, nothing, hidden)

function (rnn::RNN)(x)
    X, B, T = size(x)
    H, w = rnn.hidden, vec(rnn.w)
    state(s) = s isa Array ? reshape(s, H, B) : zeros(eltype(w), H, B)
    pieces = cumsum([0, 4H * X, 4H * H, 4H, 4H])
    W, R, bW, bR = (w[pieces[k]+1:pieces[k+1]] for k in 1:4)
    W, R = reshape(W, X, 4H)', reshape(R, H, 4H)'       # (4H, X), (4H, H)
    h, c = state(rnn.h), state(rnn.c)
    y = similar(x, H, B, T)
    for t in 1:T
        gates = W * x[:, :, t] .+ R * h .+ bW .+ bR     # (4H, B)
        i, f, n, o = (gates[(k-1)*H+1:k*H, :] for k in 1:4)
        c = sigm.(f) .* c .+ sigm.(i) .* tanh.(n)
        h = sigm.(o) .* tanh.(c)
        y[:, :, t] = h
    end
    rnn.h, rnn.c = h[:, :, :], c[:, :, :]               # (H, B, 1)
    return y
end

end
