# Every user of the modules includes this; they are loaded once, so that what they hold stays.
isdefined(@__MODULE__, :Bridge) || include("bridge.jl")
