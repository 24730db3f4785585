# Watchers: each takes the place of a field of one of SHA-RNN.jl's structs, does what the field did, and notes what
# passes through it. What passes through no field is noted by the functions that `define_program` puts before Knet's.

silent(name, x) = x

"The function that is told of intermediates at present: of (name, x), returning x."
const noting = Ref{Any}(silent)
note(name, x) = noting[](name, x)

"Run `f` while `inner` is told of intermediates."
function with_noting(f, inner)
    outer, noting[] = noting[], inner
    try
        return f()
    finally
        noting[] = outer
    end
end

"A copy of a struct with some fields changed."
with(x; changes...) = typeof(x)((get(changes, f, getfield(x, f)) for f in fieldnames(typeof(x)))...)

"A layer that notes what goes in, what comes out, or both."
struct Layer
    layer
    before::String
    after::String
end
Layer(layer; before = "", after = "") = Layer(layer, before, after)
function (l::Layer)(x)
    isempty(l.before) || note(l.before, x)
    y = l.layer(x)
    return isempty(l.after) ? y : note(l.after, y)
end

"An activation function, noted where it is broadcast."
struct Activation
    f
end
Base.broadcasted(a::Activation, x) = note("boom_gelu", a.f.(x))

"An RNN, whose state is set and read as if it were not watched."
struct Recurrence
    rnn
end
Base.getproperty(r::Recurrence, name::Symbol) = getproperty(getfield(r, :rnn), name)
Base.setproperty!(r::Recurrence, name::Symbol, x) = setproperty!(getfield(r, :rnn), name, x)
function (r::Recurrence)(x)
    y = note("rnn", getfield(r, :rnn)(x))
    note("hidden_h", r.h), note("hidden_c", r.c)
    return y
end

"One of `qs`, `ks` and `vs`: a gain of queries, keys or values, followed through sigmoid, `vq` and product."
struct Gain
    of::String
    gain
end
Base.broadcasted(f::Function, g::Gain) = Gain(g.of, note("attn.sig_$(g.of)s", f.(g.gain)))
Base.broadcasted(::typeof(*), g::Gain, x) = note("attn.$(g.of)", g.gain .* x)
Base.getindex(g::Gain, ::Colon) = Gain(g.of, g.gain[:])

"The `vq` of an attention, which makes one gain of another."
struct Overparam
    layer
end
(o::Overparam)(g::Gain) = Gain(g.of, note("attn.overparam_vs", o.layer(g.gain)))

"The mask, which sees the scores it is added to."
struct Mask
    mask
end
Base.broadcasted(::typeof(+), m::Mask, scores) = note("attn.masked_scores", m.mask .+ note("attn.scores", scores))

"An attention, which is given the keys and gives the mixed values."
struct Attention
    layer
end
function (a::Attention)(query, key, value; attn_mask)
    mix, focus = a.layer(query, note("bigh", key), value; attn_mask = Mask(attn_mask))
    return note("attn.mix", mix), focus
end

"Block i. What is noted within it has its number in the name."
struct Block
    block
    i::Int
end
function (b::Block)(h, positions, mask; mem, hidden)
    b.i == 1 && note("mask", mask)
    outer = noting[]
    with_noting((name, x) -> outer("blocks.$(b.i).$name", x)) do
        h, memory, hidden, focus = b.block(note("in", h), positions, mask; mem = mem, hidden = hidden)
        b.block.attn === nothing || note("new_mem", memory)
        return note("out", h), memory, hidden, focus
    end
end

"Stands for a dropout rate, and notes what dropout passes on."
struct Rate
    name::String
end

"The N of the model, which notes N - T when the model computes that."
struct Limit
    n::Int
end
Base.:-(limit::Limit, steps::Integer) = only(note("maxmem", [limit.n - steps]))

"The memory of block i, which notes the rows it is cut to."
struct Memory
    i::Int
    attends::Bool
    rows
end
Base.size(m::Memory, axis) = size(m.rows, axis)
Base.lastindex(m::Memory, axis) = lastindex(m.rows, axis)
function Base.getindex(m::Memory, ::Colon, ::Colon, kept)
    m.i == 1 && note("mem_start_idx", [first(kept)])
    rows = m.rows[:, :, kept]
    note("mem_in.$(m.i).size", collect(size(rows)))
    return m.attends ? note("mem_in.$(m.i)", rows) : rows
end

watch_memories(model, memories) = [Memory(i, model.blocks[i].attn !== nothing, m) for (i, m) in enumerate(memories)]

watch(model) = with(model;
    blocks = [watch_block(b, i) for (i, b) in enumerate(model.blocks)],
    idrop = Rate("embed"), drop = Rate("h_final"), num_max_positions = Limit(model.num_max_positions))

function watch_block(b, i)
    boom = with(b.ff; lin1 = Layer(b.ff.lin1; after = "boom_lin1"), act = Activation(b.ff.act))
    block = with(b;
        lnstart = Layer(b.lnstart; after = "lnstart"), rnn = Recurrence(b.rnn),
        lnff = Layer(b.lnff; before = b.attn === nothing ? "post_rnn" : "post_attn", after = "lnff"),
        lnxff = Layer(b.lnxff; after = "lnxff"), ff = Layer(boom; after = "boom"))
    b.attn === nothing && return Block(block, i)
    attention = with(b.attn;
        q = Layer(b.attn.q; after = "attn.q_linear"), qln = Layer(b.attn.qln; after = "attn.q_ln"),
        qs = Gain("q", b.attn.qs), ks = Gain("k", b.attn.ks), vs = Gain("v", b.attn.vs), vq = Overparam(b.attn.vq))
    return Block(with(block;
        attn = Attention(attention), lnmid = Layer(b.lnmid; after = "lnmid"),
        lnmem = Layer(b.lnmem; before = "post_rnn", after = "lnmem")), i)
end
