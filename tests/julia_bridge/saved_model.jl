# A model built as SHA-RNN.jl builds its own, of the types' names and fields alone, for save_parameters.jl to walk.
module SavedModel

struct Param
    value
end

struct RNN
    w
    h
    c
end

linear(p, name) = (w = Param(p["$name.w"]), b = Param(p["$name.b"]))
norm(p, name) = (γ = Param(p["$name.gamma"]), β = Param(p["$name.beta"]), ϵ = 1e-12)

attention(p, name, heads) = (
    q = linear(p, "$name.q"), k = false, v = false, qs = Param(p["$name.qs"]), ks = Param(p["$name.ks"]),
    vs = Param(p["$name.vs"]), vq = (linear = linear(p, "$name.vq.linear"), nhid = 1), qln = norm(p, "$name.qln"),
    heads = heads, dropout = 0.0)

function block(p, name, heads)
    attends = haskey(p, "$name.attn.qs")
    lin1 = linear(p, "$name.ff.lin1")
    return (
        attn = attends ? attention(p, "$name.attn", heads) : nothing,
        ff = (lin1 = lin1, lin2 = zeros(Float32, 2, 2), dropout = 0f0, shortcut = true, act = identity),
        rnn = RNN(Param(p["$name.rnn.w"]), 0, 0), lnstart = norm(p, "$name.lnstart"),
        lnmid = attends ? norm(p, "$name.lnmid") : nothing, lnmem = attends ? norm(p, "$name.lnmem") : nothing,
        lnff = norm(p, "$name.lnff"), lnxff = norm(p, "$name.lnxff"), residual = false)
end

function save(path, p, layers, heads, limit, tied, words)
    model = (
        encoder = (w = Param(p["encoder.w"]),), decoder = tied ? nothing : linear(p, "decoder"),
        blocks = Any[block(p, "blocks.$i", heads) for i in 1:layers], num_max_positions = limit,
        idrop = 0.25, hdrop = 0.5, drop = 0.125,
        pos_emb = zeros(limit), new_hidden = nothing)
    Main.SaveParameters.save(path, model, String.(words))
end

end
