"`UnsafePtr(p)`: `p.name` points to a field, `p[]` and `p[i]` load, `p[] = x` stores. The caller keeps the memory alive."
module UnsafePointers

export UnsafePtr

struct UnsafePtr{T}
    address::Ptr{T}
end

UnsafePtr(p::UnsafePtr) = p
UnsafePtr{T}(p::UnsafePtr) where {T} = UnsafePtr{T}(Ptr{T}(pointer(p)))

Base.pointer(p::UnsafePtr) = getfield(p, :address)
Base.propertynames(::UnsafePtr{T}) where {T} = fieldnames(T)

function Base.getproperty(p::UnsafePtr{T}, name::Symbol) where {T}
    field = Base.fieldindex(T, name)
    return UnsafePtr(Ptr{fieldtype(T, field)}(pointer(p) + fieldoffset(T, field)))
end

# A pointer that is loaded comes back as an UnsafePtr, so that chains read as in C; `p[!]` gives it as it is.
wrapped(x) = x
wrapped(x::Ptr) = UnsafePtr(x)

Base.getindex(p::UnsafePtr, i::Integer = 1) = wrapped(unsafe_load(pointer(p), i))
Base.getindex(p::UnsafePtr, ::typeof(!), i::Integer = 1) = unsafe_load(pointer(p), i)
Base.setindex!(p::UnsafePtr{T}, x, i::Integer = 1) where {T} = unsafe_store!(pointer(p), convert(T, x), i)

Base.:(==)(p::UnsafePtr, q::Ptr) = pointer(p) == q
Base.:(==)(p::Ptr, q::UnsafePtr) = p == pointer(q)

Base.convert(::Type{Ptr{T}}, p::UnsafePtr) where {T} = Ptr{T}(pointer(p))
Base.unsafe_convert(::Type{Ptr{T}}, p::UnsafePtr) where {T} = Ptr{T}(pointer(p))
(::Type{P})(p::UnsafePtr) where {P<:Ptr} = P(pointer(p))
Base.unsafe_string(p::UnsafePtr) = unsafe_string(Ptr{UInt8}(pointer(p)))
Base.String(p::UnsafePtr) = unsafe_string(p)

end
