"""
The bridge's Julia side: `run` reads a request from memory, does what it asks and keeps the answer; `write_answer` puts
the answer into memory once that is large enough. wire.py says how a message is laid out. Julia 1.5 to current.
"""
module SharnnBridge

const ALIGNMENT = 64
const ELEMENTS = Dict('f' => Float32, 'd' => Float64, 'i' => Int32, 'q' => Int64, 'h' => Float16, 'b' => Bool)
const CODES = Dict(T => code for (code, T) in ELEMENTS)

aligned(size) = cld(size, ALIGNMENT) * ALIGNMENT

# ---- reading

mutable struct Reader
    at::Ptr{UInt8}
    data::Ptr{UInt8}
end

function read_number(r, ::Type{T}) where {T}
    x = unsafe_load(Ptr{T}(r.at))
    r.at += sizeof(T)
    return x
end
read_count(r) = Int(read_number(r, UInt64))

function read_text(r)
    count = read_count(r)
    text = unsafe_string(r.at, count)
    r.at += count
    return text
end

"An Array of Julia's own, copied out of the message: it may be kept when the memory serves the next call."
function read_array(r)
    T = ELEMENTS[Char(read_number(r, UInt8))]
    rank = read_number(r, UInt8)
    sizes = ntuple(_ -> read_count(r), rank)
    source = Ptr{T}(r.data + read_count(r))
    array = Array{T}(undef, sizes)
    unsafe_copyto!(pointer(array), source, length(array))
    return array
end

function read_value(r)
    tag = Char(read_number(r, UInt8))
    tag == 'n' && return nothing
    tag == 'b' && return read_number(r, UInt8) != 0
    tag == 'i' && return read_number(r, Int64)
    tag == 'r' && return read_number(r, Float64)
    tag == 's' && return read_text(r)
    tag == 'a' && return read_array(r)
    count = read_count(r)
    tag == 'm' && return Dict{String,Any}(read_text(r) => read_value(r) for _ in 1:count)
    items = Any[read_value(r) for _ in 1:count]
    return tag == 't' ? Tuple(items) : items
end

function read_message(address::Ptr{UInt8})
    length = Int(unsafe_load(Ptr{UInt64}(address)))
    return read_value(Reader(address + 8, address + aligned(8 + length)))
end

# ---- writing

mutable struct Writer
    structure::IOBuffer
    arrays::Vector{Tuple{Int,Array}}
    data_size::Int
end
Writer() = Writer(IOBuffer(), Tuple{Int,Array}[], 0)

put(w, tag::Char, numbers...) = write(w.structure, UInt8(tag), numbers...)
put_text(w, text) = write(w.structure, UInt64(sizeof(text)), text)

add(w, ::Nothing) = put(w, 'n')
add(w, x::Bool) = put(w, 'b', UInt8(x))
add(w, x::Integer) = put(w, 'i', Int64(x))
add(w, x::AbstractFloat) = put(w, 'r', Float64(x))
add(w, x::Union{AbstractString,AbstractChar,Symbol}) = (put(w, 's'); put_text(w, String(string(x))))
add(w, x::Tuple) = (put(w, 't', UInt64(length(x))); foreach(item -> add(w, item), x))
add(w, x::NamedTuple) = add_pairs(w, pairs(x))
add(w, x::AbstractDict) = add_pairs(w, x)
add(w, x) = error("a $(typeof(x)) does not go to Python. What does: nothing, Bool, integers, floats, strings, ",
    "tuples, named tuples, Dicts, vectors of these, and arrays of Float16, Float32, Float64, Int32, Int64 and Bool.")

function add_pairs(w, entries)
    put(w, 'm', UInt64(length(entries)))
    for (key, item) in entries
        put_text(w, String(string(key)))
        add(w, item)
    end
end

function add(w, x::AbstractArray{T}) where {T}
    if haskey(CODES, T)
        put(w, 'a', UInt8(CODES[T]), UInt8(ndims(x)), UInt64.(size(x))..., UInt64(w.data_size))
        push!(w.arrays, (w.data_size, convert(Array, x)))
        w.data_size += aligned(sizeof(T) * length(x))
    elseif ndims(x) == 1
        put(w, 'l', UInt64(length(x)))
        foreach(item -> add(w, item), x)
    else
        error("an array of $T with $(ndims(x)) axes does not go to Python; those of Float16, Float32, Float64, Int32, ",
            "Int64 and Bool do.")
    end
end

data_start(w) = aligned(8 + w.structure.size)
message_size(w) = data_start(w) + w.data_size

function write_message(w, address::Ptr{UInt8})
    structure = take!(w.structure)
    unsafe_store!(Ptr{UInt64}(address), UInt64(length(structure)))
    GC.@preserve structure unsafe_copyto!(address + 8, pointer(structure), length(structure))
    data = address + aligned(8 + length(structure))
    for (offset, array) in w.arrays
        GC.@preserve array unsafe_copyto!(Ptr{eltype(array)}(data + offset), pointer(array), length(array))
    end
end

# ---- serving

lookup(name) = foldl(getfield, Symbol.(split(name, '.')); init = Main)

function perform(operation, what)
    operation == "include" ? Base.include(Main, what) :
    operation == "project" ? what in LOAD_PATH || pushfirst!(LOAD_PATH, what) :
    operation == "import" ? Core.eval(Main, :(import $(Symbol(what)))) : error("unknown: $operation")
    return nothing
end

function perform(operation, name, arguments, keywords = Dict{String,Any}())
    return Base.invokelatest(lookup(name), arguments...; (Symbol(key) => value for (key, value) in keywords)...)
end

"The lines of Julia code that an exception passed through, innermost first, down to what Python asked for."
function passed_through(backtrace)
    lines = String[]
    for frame in stacktrace(backtrace)
        frame.func === :perform && break
        base = string(frame.file)
        hidden = frame.from_c || startswith(base, "./") || basename(base) == "boot.jl"
        hidden || push!(lines, "\n  at $(frame.func) ($base:$(frame.line))")
    end
    return join(lines)
end

function answered(value)
    w = Writer()
    Base.invokelatest(add, w, value)
    return w
end

const answer = Ref(Writer())

"Do what the message at `address` asks. Returns the bytes that the answer, (true, result) or (false, message), takes."
function run(address::Integer)
    answer[] = try
        answered((true, Base.invokelatest(perform, read_message(Ptr{UInt8}(UInt(address)))...)))
    catch problem
        answered((false, Base.invokelatest(sprint, showerror, problem) * passed_through(catch_backtrace())))
    end
    return message_size(answer[])
end

"Write the answer to the memory at `address`, and forget it."
function write_answer(address::Integer)
    write_message(answer[], Ptr{UInt8}(UInt(address)))
    answer[] = Writer()
    return nothing
end

end
