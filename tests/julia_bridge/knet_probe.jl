# The bridge's own Knet, with what a test cannot pass through `Worker.call`: keywords and the state of an RNN.
module KnetProbe

import ..Knet

bmm(x, y, transA, transB) = Knet.bmm(x, y; transA = transA, transB = transB)
softmax(x, axis) = Knet.softmax(x; dims = axis)

"Two segments through one RNN: outputs and the states left after each, from zeros or from (h, c)."
function rnn(w, first, second, hidden, h, c)
    layer = Knet.RNN(size(first, 1), hidden; atype = Array{Float32})
    copyto!(layer.w, w)
    layer.h, layer.c = h, c
    return [(layer(x), layer.h, layer.c) for x in (first, second)]
end

end
