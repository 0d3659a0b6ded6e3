"""Writes seed_prompts.json: the seed project's training texts, composed as its published code composed them.

    python seed_prompts.py FINAL_DATASET.parquet > seed_prompts.json

The project's notebooks (https://github.com/HEMANGANI/LLM-Recommendation-Systems, final_dataset.ipynb and
final_unsloth_tinyllama.ipynb) join four titles and a question, append the four options with a blank more than one
would expect, and format both with the answer into a variant of Alpaca's prompt. The hash covers all texts, each
followed by a zero byte; rows with a blank answer are among them.
"""

import hashlib
import json
import sys

import pyarrow.parquet

WRAPPER = """Below is an instruction that describes a user's interaction history with products on Amazon. Write a response that appropriately completes the request.

### Instruction:
{}

### Response:
{}"""


def text(row):
    one, two, three, four = row["history"]
    prompts = (
        "Reviewer has bought " + one + ", " + two + ", " + three + ", " + four
        + ". Considering their purchase history, which product will they buy next from the below options?"
    )
    items = row["options"]
    part2 = f" A) {items[0]}, B) {items[1]}, C) {items[2]}, D) {items[3]}."
    return WRAPPER.format(" ".join([prompts, part2]), row["answer"])


rows = pyarrow.parquet.read_table(sys.argv[1]).to_pylist()
texts = [text(row) for row in rows]
digest = hashlib.sha256(b"".join(text.encode() + b"\0" for text in texts)).hexdigest()
golden = {"rows": len(texts), "sha256": digest, "first": texts[0]}
print(json.dumps(golden, indent=1, ensure_ascii=False))
