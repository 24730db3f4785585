"""Models of Hugging Face's transformers, tiny and random, against their recordings: caches, masks, half precision."""

import copy

import pytest
import torch

import parity

transformers = pytest.importorskip("transformers", reason="transformers, whose models these are, is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SIZES = dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)


def model_of(name, attention):
    torch.manual_seed(0)
    kind, config = {
        "gpt2": ("GPT2LMHeadModel", transformers.GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4)),
        "bert": ("BertForMaskedLM", transformers.BertConfig(**SIZES)),
        "llama": ("LlamaForCausalLM", transformers.LlamaConfig(**SIZES, num_key_value_heads=2)),
        "t5": (
            "T5ForConditionalGeneration",
            transformers.T5Config(vocab_size=99, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
        ),
    }[name]
    config._attn_implementation = attention
    return getattr(transformers, kind)(config).eval()


def inputs_of(name):
    ids = torch.randint(1, 99, (2, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 5:] = 0
    more = {"decoder_input_ids": ids[:, :4]} if name == "t5" else {}
    return {"input_ids": ids, "attention_mask": mask, **more}


def loss(output):
    return output.logits.square().mean()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["gpt2", "bert", "llama", "t5"])
def test_a_model_agrees_with_its_recording_gradients_included(name, attention):
    model = model_of(name, attention)
    reference = parity.capture(model, inputs_of(name), loss=loss)
    assert reference.has("agrad")
    result = parity.check(model, reference, loss=loss)
    assert result, parity.text(result)
    assert result.compared == len(reference.tensors) - len(inputs_of(name))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["gpt2", "bert", "llama", "t5"])
def test_in_half_precision(name, dtype):
    model = model_of(name, "sdpa").to(dtype)
    reference = parity.capture(model, inputs_of(name), loss=loss)
    assert reference.format == dtype
    result = parity.check(model, reference, loss=loss)
    assert result, parity.text(result)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_cache_is_a_state(name):
    def call(module, inputs, state):
        output = module(inputs[0], past_key_values=state, use_cache=True)
        return output, state if output.get("past_key_values") is None else output.past_key_values

    model, ids = model_of(name, "sdpa"), inputs_of(name)["input_ids"]
    reference = parity.capture(model, ids, ids[:, :3], ids[:, :1], call=call)
    assert reference.tensor("carry/3/state.layers.1.keys").shape[2] == 11
    assert parity.check(model, reference, call=call)


def test_another_eps_is_found_and_explained():
    model = model_of("gpt2", "sdpa")
    reference = parity.capture(model, inputs_of("gpt2"))
    changed = copy.deepcopy(model)
    changed.transformer.h[1].ln_2.eps = 1e-3
    first = parity.check(changed, reference).first
    assert first.name == "eval/1/transformer.h.1.ln_2"
    assert "eps" in first.hints[0].description
