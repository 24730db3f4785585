"""
SHA-RNN.jl's own, unmodified `src/model.jl`, run forward and watched.

Its intermediates are seen without a change to its source: a second model with the same parameters has watchers
(watchers.jl) in place of its layers, rates and sizes. The model without watchers runs every segment as well, and both
must agree bit for bit.
"""
module Upstream

include("watchers.jl")

const loaded = Ref("")

"""
    load(source, project)

Include the file `source` on the Knet and CUDA of this folder, or on those of the Julia project `project` unless that
is empty. It stays loaded for as long as this Julia runs; another source in the same Julia is an error.
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
    # In place of SHA-RNN.jl's data.jl: the model needs no more than the number of words.
    struct Vocab
        i2v
    end

    include($source)

    # A module's own names come before those of `using Knet`, even if they are defined later: these functions see
    # what happens between two layers.
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

As `Reference.segment`, with Float32 parameters: SHA-RNN.jl has no other.
"""
function segment(sizes, parameters, ids, labels, hidden, memories, note)
    model = filled(sizes, parameters)
    columns(s) = reshape(s, size(s)..., 1)                        # (H, B) -> (H, B, 1)
    hidden = hidden === nothing ? nothing : [(columns(h), columns(c)) for (h, c) in hidden]
    plain = advance(model, ids, labels, hidden, memories)
    watched = with_noting(note) do
        advance(watch(model), ids, labels, hidden, memories === nothing ? nothing : watch_memories(model, memories))
    end
    isequal(plain, watched) || error("the watched model's loss or state is not that of the model itself")
    loss, hidden, memories = plain
    return loss, [(h[:, :, 1], c[:, :, 1]) for (h, c) in hidden], memories
end

function advance(model, ids, labels, hidden, memories)
    model.new_hidden, model.new_mems = hidden, memories
    loss = model(ids, labels)
    return loss, model.new_hidden, model.new_mems
end

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
const FIXED = :lin2                                               # Boom's matrix of zeros and ones

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

end
