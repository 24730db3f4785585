"A small example model: a recurrence, a normalisation and scores. It returns all three."
module Tagger

using Statistics

"x is (features, batch, time), which is torch's (time, batch, features) with its axes reversed; weights are (in, out)."
function forward(p, x)
    hidden = Array{Float32}(undef, size(p["rnn.weight_hh_l0"], 1), size(x, 2), size(x, 3))
    h = zeros(Float32, size(hidden, 1), size(x, 2))
    for t in axes(x, 3)
        h = tanh.(p["rnn.weight_ih_l0"]' * x[:, :, t] .+ p["rnn.bias_ih_l0"] .+
                  p["rnn.weight_hh_l0"]' * h .+ p["rnn.bias_hh_l0"])
        hidden[:, :, t] = h
    end
    centred = hidden .- mean(hidden; dims = 1)
    normed = p["norm.weight"] .* centred ./ (std(hidden; dims = 1) .+ 1f-5) .+ p["norm.bias"]
    flat = p["out.weight"]' * reshape(normed, size(normed, 1), :) .+ p["out.bias"]
    return Dict("hidden" => hidden, "normed" => normed, "scores" => reshape(flat, :, size(x, 2), size(x, 3)))
end

end
