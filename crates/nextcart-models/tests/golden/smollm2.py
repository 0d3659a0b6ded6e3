"""Writes smollm2.json: what transformers generates with a checkpoint of SmolLM2-135M.

    pip install torch transformers safetensors
    python smollm2.py CHECKPOINT_FOLDER smollm2.json

Each prompt is encoded with the tokenizer's own special tokens and continued greedily for 32 tokens,
in f32 from the stored bf16 weights, with eager attention. `gap` is the smallest difference between
the two highest logits of a step: a port may only differ in a token where its own error is larger.
The logits of the last prompt token are kept at every 211th id.
"""
import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = [
    "The customer bought green tea, honey and a tea strainer. Next, the customer will buy",
    "Which of the options does the customer buy next?\nBought, oldest first:\nDog Leash\nDog Food\nOptions:\nCat Toy\nDog Bowl\nAnswer:\n",
    "Gravity is",
    "a",
    "1, 1, 2, 3, 5, 8, 13, 21,",
    "Köln, Zürich and Łódź are cities in",
    "fn main() {\n    println!(",
    "Customers who bought \"Lipton Green Tea, 100 Count (Pack of 6)\" also bought",
    "The history, oldest first:\n" + "".join(
        f"{i}. Quaker Oatmeal, Flavor No. {i}, {i + 8} Ounce\n" for i in range(1, 25)) + "Next:",
    "Question: Name three pantry staples.\nAnswer:",
]
NEW_TOKENS = 32


def main(folder: str, out: str) -> None:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    cases = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        text, gap = ids, float("inf")
        with torch.no_grad():
            first = model(ids).logits[0, -1]
            for _ in range(NEW_TOKENS):
                top = model(text).logits[0, -1].topk(2)
                gap = min(gap, float(top.values[0] - top.values[1]))
                text = torch.cat([text, top.indices[:1][None]], dim=1)
            generated = model.generate(ids, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False)
        tokens = text[0, ids.shape[1]:].tolist()
        assert generated[0, ids.shape[1]:].tolist() == tokens or tokenizer.eos_token_id in tokens
        cases.append({
            "prompt": prompt,
            "ids": ids[0].tolist(),
            "tokens": tokens,
            "gap": gap,
            "logits": first[::211].tolist(),
        })
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    with open(out, "w") as file:
        json.dump({"versions": versions, "stride": 211, "cases": cases}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
