"""
SHA-RNN.jl's own, unmodified `src/model.jl`, run forward and watched.

Its intermediates are seen without a change to its source. A second model with the same parameters has watchers of this
module in place of its layers, rates and sizes; they note what passes through them and pass it on. The model without
watchers runs every segment as well, and both must agree bit for bit.
"""
module Upstream

"What hands out intermediates at the moment: a function of (name, x) that returns x."
const noting = Ref{Any}()
note(name, x) = noting[](name, x)

"Run `f` while `inner` hands out intermediates."
function with_noting(f, inner)
    outer = isassigned(noting) ? noting[] : nothing
    noting[] = inner
    try
        return f()
    finally
        noting[] = outer
    end
end

"Stands for a dropout rate, and notes what dropout passes on."
struct Rate
    name::String
end

const loaded = Ref("")

"""
    load(source, project)

Include the file `source` on the Knet and CUDA of this folder, or on those of the Julia project `project` unless that
is empty. It stays for as long as this Julia runs; another source in the same Julia is an error.
"""
function load(source, project)
    what = isempty(project) ? source : "$source on the Knet of $project"
    what == loaded[] && return
    isempty(loaded[]) || error("this Julia runs $(loaded[]); start another one for $what")
    pushfirst!(LOAD_PATH, isempty(project) ? @__DIR__() : project)
    try
        define_program(source)
    finally
        popfirst!(LOAD_PATH)
    end
    loaded[] = what
    return
end

"The module that SHA-RNN.jl's model lives in."
define_program(source) = Core.eval(@__MODULE__, :(module Program
    # What SHA-RNN.jl's data.jl would bring; the model asks for no more than the number of words.
    struct Vocab
        i2v
    end

    include($source)

    # A module's own names come before those of `using Knet`, also when they are made later: these see what
    # happens between two layers.
    import Knet
    using ..Upstream: Rate, note
    bmm(x, y; transB = false) = note(transB ? "attn.qk" : "attn.mix_heads", Knet.bmm(x, y; transB = transB))
    softmax(x; dims) = note("attn.focus", Knet.softmax(x; dims = dims))
    dropout(x, rate) = Knet.dropout(x, rate)
    dropout(x, rate::Rate) = note(rate.name, x)
    nll(scores, labels; options...) = Knet.nll(note("logits", scores), labels; options...)
end))

"""
    segment(sizes, parameters, ids, labels, hidden, memories, note) -> loss, hidden, memories

As `Reference.segment`; parameters are Float32, for SHA-RNN.jl converts to that.
"""
function segment(sizes, parameters, ids, labels, hidden, memories, note)
    model = filled(sizes, parameters)
    columns(s) = reshape(s, size(s)..., 1)                        # (H, B) -> (H, B, 1)
    hidden = hidden === nothing ? nothing : [(columns(h), columns(c)) for (h, c) in hidden]
    plain = with_noting((name, x) -> x) do
        step(model, ids, labels, hidden, memories)
    end
    watched = with_noting(note) do
        step(watch(model), ids, labels, hidden, memories === nothing ? nothing : watch_memories(model, memories))
    end
    isequal(plain, watched) || error("the watched model's loss or state is not that of the model itself")
    loss, hidden, memories = plain
    return loss, [(h[:, :, 1], c[:, :, 1]) for (h, c) in hidden], memories
end

function step(model, ids, labels, hidden, memories)
    model.new_hidden, model.new_mems = hidden, memories
    loss = model(ids, labels)
    return loss, model.new_hidden, model.new_mems
end

# ── Parameters

fresh(sizes) = Program.SHARNN(
    sizes["emb"], sizes["hidden"], Program.Vocab(1:sizes["vocab"]), sizes["layers"];
    num_max_positions = sizes["max_memory"], nheads = sizes["heads"], tie_weights = sizes["tied"],
    dropout = 0.0, dropouth = 0.0, dropouti = 0.0)

parameter_names(sizes) = first.(parameters_of(fresh(sizes)))

"A fresh model that has been given `parameters`."
function filled(sizes, parameters)
    model = fresh(sizes)
    for (name, parameter) in parameters_of(model)
        copyto!(Program.value(parameter), parameters[name])
    end
    return model
end

const ASCII = Dict(:γ => :gamma, :β => :beta)
const FIXED = :lin2                                     # Boom's matrix of zeros and ones

"Name => parameter in the order of the fields; the names are the fields' names, joined by dots."
parameters_of(model) = [
    named(model.encoder, "encoder"); named(model.blocks, "blocks");
    model.decoder === nothing ? [] : named(model.decoder, "decoder")]

function named(x, name)
    x isa Program.Param && return [name => x]
    x isa Program.RNN && return ["$name.w" => x.w]
    parentmodule(typeof(x)) === Program || return []
    return [p for f in fieldnames(typeof(x)) if f !== FIXED for p in named(getfield(x, f), "$name.$(get(ASCII, f, f))")]
end
named(blocks::Vector{Any}, name) = [p for (i, b) in enumerate(blocks) for p in named(b, "$name.$i")]

# ── Watchers

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

struct Overparam
    layer
end
(o::Overparam)(g::Gain) = Gain(g.of, note("attn.overparam_vs", o.layer(g.gain)))

"The mask, which sees the scores it is added to."
struct Mask
    mask
end
Base.broadcasted(::typeof(+), m::Mask, scores) = note("attn.masked_scores", m.mask .+ note("attn.scores", scores))

struct Attention
    layer
end
function (a::Attention)(query, key, value; attn_mask)
    mix, focus = a.layer(query, note("bigh", key), value; attn_mask = Mask(attn_mask))
    return note("attn.mix", mix), focus
end

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

"The N of the model, which notes how many memory rows are left for it."
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

end
