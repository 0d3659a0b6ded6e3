"""What PEFT makes of an adapter, for tests/peft_round_trip.rs.

    peft_round_trip.py logits BASE ADAPTER   prints the logits of PEFT's model with the adapter as JSON
    peft_round_trip.py make BASE KIND OUT    writes an adapter of random factors to OUT and prints its logits

Needs torch, transformers and peft (benches/peers/requirements-models.txt). KIND is one of KINDS.
"""

import json
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

IDS = [[1, 8, 40, 2, 17, 33]]

KINDS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"]),
    "patterns": dict(
        r=4,
        lora_alpha=8,
        target_modules=r".*layers\.\d+\.(self_attn\.(q|v)_proj|mlp\.down_proj)",
        rank_pattern={r"layers\.1\.self_attn\.q_proj": 2, "q_proj": 6},
        alpha_pattern={"down_proj": 3},
        use_rslora=True,
    ),
    "dora": dict(r=3, lora_alpha=6, target_modules="all-linear", use_dora=True),
    "bias_all": dict(r=2, lora_alpha=4, target_modules=["q_proj"], bias="all"),
    "bias_lora_only": dict(r=2, lora_alpha=4, target_modules=["q_proj"], bias="lora_only"),
    "gaussian": dict(r=4, lora_alpha=8, target_modules=["o_proj"], init_lora_weights="gaussian"),
    "modules_to_save": dict(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "pissa": dict(r=2, target_modules=["q_proj"], init_lora_weights="pissa"),
}


def base_model(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


def print_logits(model):
    with torch.no_grad():
        logits = model.eval()(torch.tensor(IDS)).logits[0]
    print(json.dumps(logits.tolist()))


def make(base, kind, out):
    torch.manual_seed(7)
    model = get_peft_model(base_model(base), LoraConfig(task_type="CAUSAL_LM", **KINDS[kind]))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(out)
    print_logits(model)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["logits", base, adapter]:
            print_logits(PeftModel.from_pretrained(base_model(base), adapter))
        case ["make", base, kind, out]:
            make(base, kind, out)
        case _:
            sys.exit(__doc__)
