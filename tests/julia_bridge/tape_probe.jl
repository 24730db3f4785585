# Every operation of tape.jl, and those of reference.jl with a backward pass of their own, against central differences.
module TapeProbe

using Statistics
using ..Bridge: Reference, Tape

# Each goes from its inputs to one array, and uses an input twice wherever its gradient has to gather. No axis is as
# long as another one but where a matrix is transposed.
const OPERATIONS = Dict(
    "add" => ((a, b) -> a .+ b, [(3, 1, 4), (3, 2, 1)]),
    "add a vector" => ((a, b) -> a .+ b .+ a, [(3,), (3, 2)]),
    "subtract" => ((a, b) -> a .- b, [(3, 1), (3, 2)]),
    "multiply" => ((a, b) -> a .* b .* a, [(3, 1), (3, 2)]),
    "divide" => ((a, b) -> a ./ b, [(3, 2), (3, 1)]),
    "exp" => (a -> exp.(a), [(3, 2)]),
    "log" => (a -> log.(a), [(3, 2)]),
    "tanh" => (a -> tanh.(a), [(3, 2)]),
    "sigm" => (a -> Reference.sigm.(a), [(3, 2)]),
    "gelu" => (a -> Reference.gelu.(a .- 1), [(3, 2)]),
    "constants" => (a -> eltype(a)[1, 2, 3] .* a ./ 2 .- 1, [(3, 2)]),
    "product" => ((a, b) -> (a * b) .+ (a * exp.(b)), [(3, 4), (4, 2)]),
    "product with a constant" => (a -> a * eltype(a)[1 2; 3 4], [(3, 2)]),
    "bmm" => ((a, b) -> Reference.bmm(a, b), [(2, 3, 2, 1), (3, 4, 2, 1)]),
    "reshape" => (a -> reshape(a, 2, :, 3) .* vec(a)[1], [(3, 4)]),
    "adjoint" => (a -> a' .* a, [(3, 3)]),
    "permutedims" => (a -> permutedims(a, (3, 1, 2)) .* a, [(2, 2, 2)]),
    "indices" => (a -> a[1:2, :] .* a[2:3, :] .+ a[end, 1:1], [(3, 2)]),
    "elements" => (a -> a[[CartesianIndex(3, 1), CartesianIndex(1, 2)]], [(3, 2)]),
    "columns" => (a -> a[:, [2 4 2; 1 2 1]] .* a[:, [1 1 2; 3 2 1]], [(3, 4)]),
    "cat after a constant" => (a -> cat(ones(3, 2), a; dims = 2) .* cat(ones(3, 2), a; dims = 2), [(3, 4)]),
    "cat before a constant" => (a -> cat(a, ones(3, 2); dims = 2) .+ a[:, 1:1], [(3, 4)]),
    "hcat" => (a -> reduce(hcat, [a[:, 1:1], exp.(a), a[:, 2:2]]), [(3, 2)]),
    "sum" => (a -> sum(a .* a) .* a, [(3, 2)]),
    "sum along an axis" => (a -> sum(a; dims = 2) .* a, [(3, 2)]),
    "mean" => (a -> mean(a; dims = 1) .* a, [(3, 2)]),
    "std" => (a -> std(a; dims = 1, mean = mean(a; dims = 1)) .* a, [(3, 2)]),
    "softmax" => (a -> Reference.softmax(a), [(3, 4)]),
    "nll" => (a -> Reference.nll(a, [1 3; 0 2]), [(3, 2, 2)]),
)

operations() = sort(collect(keys(OPERATIONS)))

"Unlike numbers in (0.5, 1.5), others for every `salt`."
numbers(shape, salt) = reshape([0.5 + mod(0.618034 * k + 0.37 * salt, 1) for k in 1:prod(shape)], shape)

"""
The gradients of a weighted sum of what the operation makes, one for every input: by the tape in each of `types`, with
whether the tape's value is that on plain arrays, bit for bit; and by central differences.
"""
function gradients(operation, types)
    f, shapes = OPERATIONS[operation]
    inputs = [numbers(shape, salt) for (salt, shape) in enumerate(shapes)]
    weighted(y) = sum(y .* numbers(size(y), 0))
    slopes = [differences(x -> weighted(f(x...)), inputs, i) for i in eachindex(inputs)]
    return [by_tape(TYPES[name], f, inputs) for name in types], slopes
end

const TYPES = Dict("float64" => Float64, "float32" => Float32)

function by_tape(R, f, inputs)
    tape = Tape.Gradient[]
    tracked = [Tape.variable(R.(x), tape) for x in inputs]
    y = f(tracked...)
    same = isequal(collect(y.value), collect(f(map(x -> R.(x), inputs)...)))
    Tape.backward!(sum(y .* R.(numbers(size(y), 0))))
    return same, [x.gradient.total for x in tracked]
end

function differences(loss, inputs, i; step = 2.0^-17)
    slope = similar(inputs[i])
    for k in eachindex(slope)
        moved = map([step, -step]) do by
            x = copy.(inputs)
            x[i][k] += by
            loss(x)
        end
        slope[k] = (moved[1] - moved[2]) / 2step
    end
    return slope
end

end
