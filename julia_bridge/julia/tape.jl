"""
Reverse-mode differentiation of array programs. An operation on a `Tracked` array computes its value as Julia does on
plain arrays, bit for bit, and records on a tape how its gradient passes to its arguments.

A `Tracked` is not an AbstractArray: an operation not defined here is a MethodError, and never drops a gradient.
x̄ is the `Gradient` of x. Standard library alone, Julia 1.5 or newer.
"""
module Tape

using LinearAlgebra, Statistics

export Tracked, Values, add!, backward!, constant, record, total!, variable

mutable struct Gradient{R,N}
    size::NTuple{N,Int}
    total::Union{Array{R,N},Nothing}                    # the sum so far
    pass_on                                             # given the total, adds to the gradients of the arguments
end

struct Tracked{R,N}
    value::AbstractArray{R,N}
    gradient::Gradient{R,N}
    tape::Vector{Gradient}                              # of all that was computed, in order
end

"An array that may be tracked."
const Values{R,N} = Union{Array{R,N},Tracked{R,N}}

"An array to differentiate by. Those of one computation share one `tape`, a `Gradient[]`."
variable(x::Array{R,N}, tape) where {R,N} = Tracked{R,N}(x, Gradient{R,N}(size(x), nothing, nothing), tape)

"The value alone, through which no gradient flows."
constant(x::Tracked) = x.value
constant(x) = x

"""
    record(pass_on, y, arguments...)

The value `y`, tracked. In the backward pass `pass_on` is called with the total gradient of `y`, an array, and the
gradients of the arguments, to be added to; that of an argument which is a constant is `nothing`. `pass_on` should keep
no more than it needs: a value that nothing refers to takes no memory.
"""
record(pass_on, y, arguments...) = record_all((ȳ, gradients) -> pass_on(ȳ, gradients...), y, arguments)

function record_all(pass_on, y::AbstractArray{R,N}, arguments) where {R,N}
    tape = first(x for x in arguments if x isa Tracked).tape
    gradients = map(x -> x isa Tracked ? x.gradient : nothing, arguments)
    push!(tape, Gradient{R,N}(size(y), nothing, ȳ -> pass_on(ȳ, gradients)))
    return Tracked{R,N}(y, tape[end], tape)
end
record_all(pass_on, y::Number, arguments) = record_all(pass_on, fill(y), arguments)

"The array in which a gradient is summed, zeros at first."
function total!(x̄::Gradient{R}) where {R}
    x̄.total === nothing && (x̄.total = zeros(R, x̄.size))
    return x̄.total
end

"Add to a gradient, summing over the axes along which its array was broadcast."
function add!(x̄::Gradient, g)
    repeated = Tuple(d for d in 1:ndims(g) if d > length(x̄.size) || x̄.size[d] == 1)
    total!(x̄) .+= reshape(isempty(repeated) ? g : sum(g; dims = repeated), x̄.size)
    return
end
add!(x̄::Gradient, g::Number) = (total!(x̄) .+= g; nothing)
add!(::Nothing, g) = nothing

"""
    backward!(loss)

Run the tape backwards from the 0-dimensional `loss`, and empty it. Afterwards every gradient has its total, which is
`nothing` where the loss does not depend on the array.
"""
function backward!(loss::Tracked{R,0}) where {R}
    total!(loss.gradient)[] = one(R)
    done = 0                                            # bytes of gradients since Julia last collected
    while !isempty(loss.tape)
        x̄ = pop!(loss.tape)
        x̄.total === nothing && continue
        x̄.pass_on(x̄.total)
        x̄.pass_on = nothing
        done += sizeof(x̄.total)
        # Gradients that are passed on are garbage, which Julia would otherwise collect only after gigabytes.
        done > 2^27 && (GC.gc(); done = 0)
    end
end

# ---- shape and indexing

Base.eltype(::Tracked{R}) where {R} = R
Base.size(x::Tracked, axes...) = size(x.value, axes...)
Base.lastindex(x::Tracked, axes...) = lastindex(x.value, axes...)

Base.reshape(x::Tracked, sizes...) = record((ȳ, x̄) -> add!(x̄, reshape(ȳ, x̄.size)), reshape(x.value, sizes...), x)
Base.vec(x::Tracked) = reshape(x, :)
Base.adjoint(x::Tracked) = record((ȳ, x̄) -> add!(x̄, ȳ'), x.value', x)
Base.permutedims(x::Tracked, axes) =
    record((ȳ, x̄) -> add!(x̄, permutedims(ȳ, invperm(axes))), permutedims(x.value, axes), x)

"For indices that name no element twice."
Base.getindex(x::Tracked, indices...) = record((ȳ, x̄) -> view(total!(x̄), indices...) .+= ȳ, x.value[indices...], x)

"For columns, any of which may be named more than once."
function Base.getindex(x::Tracked, ::Colon, columns::Matrix{Int})
    return record(x.value[:, columns], x) do ȳ, x̄
        for i in CartesianIndices(columns)
            view(total!(x̄), :, columns[i]) .+= view(ȳ, :, i)
        end
    end
end

Base.cat(x::Tracked, y::Array; dims) = joined(cat(x.value, y; dims = dims), dims, (x, y))
Base.cat(x::Array, y::Tracked; dims) = joined(cat(x, y.value; dims = dims), dims, (x, y))
Base.reduce(::typeof(hcat), parts::Vector{<:Tracked}) = joined(reduce(hcat, constant.(parts)), 2, parts)

function joined(y, axis, parts)
    ends = cumsum([size(x, axis) for x in parts])
    return record_all(y, parts) do ȳ, gradients
        for (i, x̄) in enumerate(gradients)
            add!(x̄, selectdim(ȳ, axis, get(ends, i - 1, 0)+1:ends[i]))
        end
    end
end

# ---- products and sums

function Base.:*(w::Tracked{R,2}, x::Values{R,2}) where {R}
    a, b = w.value, constant(x)
    return record(a * b, w, x) do ȳ, w̄, x̄
        mul!(total!(w̄), ȳ, b', true, true)
        x̄ === nothing || mul!(total!(x̄), a', ȳ, true, true)
    end
end

Base.sum(x::Tracked; dims = :) = record((ȳ, x̄) -> total!(x̄) .+= ȳ, sum(x.value; dims = dims), x)
Statistics.mean(x::Tracked; dims) =
    record((ȳ, x̄) -> total!(x̄) .+= ȳ ./ x̄.size[dims], mean(x.value; dims = dims), x)

"`mean` is that of `x`: nothing flows back through it, as the deviations from it sum to 0."
function Statistics.std(x::Tracked; dims, mean)
    a, μ = x.value, mean.value
    σ = std(a; dims = dims, mean = μ)
    return record((σ̄, x̄) -> total!(x̄) .+= σ̄ .* (a .- μ) ./ (σ .* (size(a, dims) - 1)), σ, x)
end

# ---- elementwise

struct TrackedStyle <: Broadcast.BroadcastStyle end
Base.BroadcastStyle(::Type{<:Tracked}) = TrackedStyle()
Base.BroadcastStyle(style::TrackedStyle, ::Broadcast.DefaultArrayStyle) = style
Base.broadcastable(x::Tracked) = x

function Base.broadcasted(::TrackedStyle, f, arguments...)
    arguments = map(Broadcast.materialize, arguments)
    plain = map(constant, arguments)
    y = broadcast(f, plain...)
    back = map((x, partial) -> x isa Tracked ? partial : nothing, arguments, partials(f, y, plain...))
    return record_all(y, arguments) do ȳ, gradients
        for (x̄, partial) in zip(gradients, back)
            partial === nothing || add!(x̄, partial(ȳ))
        end
    end
end

"For each argument of y = f.(a, ...), its gradient as a function of y's."
partials(::typeof(+), y, a, b) = (ȳ -> ȳ, ȳ -> ȳ)
partials(::typeof(-), y, a, b) = (ȳ -> ȳ, ȳ -> .-ȳ)
partials(::typeof(*), y, a, b) = (ȳ -> ȳ .* b, ȳ -> ȳ .* a)
partials(::typeof(/), y, a, b) = (ȳ -> ȳ ./ b, ȳ -> .-ȳ .* y ./ b)
partials(::typeof(exp), y, a) = (ȳ -> ȳ .* y,)
partials(::typeof(log), y, a) = (ȳ -> ȳ ./ a,)
partials(::typeof(tanh), y, a) = (ȳ -> ȳ .* (1 .- y .* y),)

end
