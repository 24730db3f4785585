"""
`@capture(ex, pattern)`: does the expression match? In a pattern `x_` stands for any one expression, `x_T` for one of
type T and `xs__` for the rest of an argument list; each name is bound to what it stood for, or to `nothing`.
"""
module MacroTools

export @capture, isexpr

isexpr(x) = x isa Expr
isexpr(x, heads...) = x isa Expr && x.head in heads

struct Slot
    name::Symbol
    kind::Symbol  # :one, :rest, or the name of a type
end

"The slot that a symbol of a pattern stands for, or `nothing` for a symbol that stands for itself."
function slot(symbol)
    symbol isa Symbol || return nothing
    parts = match(r"^([^_@].*?)_(_|[A-Z]\w*)?$", String(symbol))
    parts === nothing && return nothing
    kind = parts[2] === nothing ? :one : parts[2] == "_" ? :rest : Symbol(parts[2])
    return Slot(Symbol(parts[1]), kind)
end

slots!(found, pattern) = found
function slots!(found, pattern::Symbol)
    s = slot(pattern)
    s === nothing || s.name in found || push!(found, s.name)
    return found
end
slots!(found, pattern::Expr) = foldl(slots!, pattern.args; init = found)

isnote(x) = x isa LineNumberNode
arguments(ex::Expr) = filter(!isnote, ex.args)

"A block of one expression is that expression."
function unblocked(ex)
    while isexpr(ex, :block) && length(arguments(ex)) == 1
        ex = arguments(ex)[1]
    end
    return ex
end

function bind!(bound, name, value)
    haskey(bound, name) && return bound[name] == value
    bound[name] = value
    return true
end

"Does `ex` match `pattern`? Fills `bound` as it goes; what it holds after a mismatch means nothing."
function matches!(bound, pattern, ex)
    pattern, ex = unblocked(pattern), unblocked(ex)
    s = slot(pattern)
    if s !== nothing
        fits = s.kind === :one || ex isa getfield(Base, s.kind)
        return fits && bind!(bound, s.name, ex)
    end
    pattern isa Expr || return pattern == ex
    isexpr(ex, pattern.head) || return false
    return match_arguments!(bound, arguments(pattern), arguments(ex))
end

function match_arguments!(bound, patterns, args)
    at = findfirst(p -> (s = slot(p); s !== nothing && s.kind === :rest), patterns)
    if at === nothing
        return length(patterns) == length(args) && all(matches!(bound, p, a) for (p, a) in zip(patterns, args))
    end
    after = length(patterns) - at
    length(args) >= at - 1 + after || return false
    return match_arguments!(bound, patterns[1:at-1], args[1:at-1]) &&
           bind!(bound, slot(patterns[at]).name, args[at:end-after]) &&
           match_arguments!(bound, patterns[at+1:end], args[end-after+1:end])
end

macro capture(ex, pattern)
    names = slots!(Symbol[], pattern)
    bindings = [:($(esc(name)) = matched ? bound[$(QuoteNode(name))] : nothing) for name in names]
    return quote
        bound = Dict{Symbol,Any}()
        matched = matches!(bound, $(QuoteNode(pattern)), $(esc(ex)))
        $(bindings...)
        matched
    end
end

end
