"""Writes decoder_variants.json: logits of tiny decoders with scaled rotary embeddings or attention biases.

    python decoder_variants.py > decoder_variants.json

Weights follow from a rule, so that no file of weights is needed: the tensors in the order of their names count from
1, and value i of tensor t is ((i * 1103515245 + t * 12345) mod 2^31 / 2^31 - 0.5) / 4 in f64, plus 1 for the gain of
a norm, rounded to f32. `config` is what transformers saves; `logits` holds rows `positions` of the f32 forward pass.
"""

import json
import math
import tempfile

import torch
import transformers

BASE = dict(
    vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
    tie_word_embeddings=False,
)
VARIANTS = {
    "llama3": dict(rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32,
    )),
    "linear": dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
    "attention_bias": dict(attention_bias=True),
}
POSITIONS = [0, 1, 7, 20, 39]


def values(number, shape, gain):
    count = math.prod(shape)
    index = torch.arange(count, dtype=torch.int64)
    whole = (index * 1103515245 + number * 12345) % 2**31
    return ((whole.double() / 2**31 - 0.5) / 4 + gain).float().reshape(shape)


cases = []
for name, fields in VARIANTS.items():
    config = transformers.LlamaConfig(**BASE, **fields)
    model = transformers.LlamaForCausalLM(config).eval()
    state = model.state_dict()
    for number, tensor in enumerate(sorted(state), 1):
        state[tensor] = values(number, state[tensor].shape, 1.0 if "norm" in tensor else 0.0)
    model.load_state_dict(state)
    ids = [1] + [(7 * i * i + 3) % 45 + 3 for i in range(39)]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, POSITIONS]
    with tempfile.TemporaryDirectory() as folder:
        config.architectures = ["LlamaForCausalLM"]
        config.save_pretrained(folder)
        saved = json.load(open(folder + "/config.json"))
    saved.pop("transformers_version")
    cases.append(dict(name=name, config=saved, ids=ids, positions=POSITIONS,
                      logits=[[float(f"{x:.7g}") for x in row] for row in logits.tolist()]))
print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "cases": cases}))
