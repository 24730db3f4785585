"""
The few names that SHA-RNN.jl's `src/model.jl` takes from CUDA, on a machine taken to have none. Not the CUDA of that
name: it is found only on the bridge's own load path, beside the Knet there.
"""
module CUDA

export CuArray

functional() = false

struct CuArray{T,N} end

end
