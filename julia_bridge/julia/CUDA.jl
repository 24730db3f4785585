"""
The few names that SHA-RNN.jl's `src/model.jl` takes from CUDA, on a machine taken to have none. This is not the
package CUDA: it is found only on the bridge's own load path, beside the bridge's Knet.
"""
module CUDA

export CuArray

functional() = false

struct CuArray{T,N} end

end
