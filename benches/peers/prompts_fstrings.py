"""Questions to token ids and loss masks with f-strings and `tokenizers`: a peer of nextcart's prompts.

Prompts are written with f-strings and encoded in batches on two threads. Reading the questions and
loading the tokenizer is not timed. A line of QUESTIONS.jsonl has `history` and `candidates`, lists of
{"title": ...}, and `answer`, the index of the title to complete.

The digest is SHA-256 over, for each question, its ids and then its number of trained tokens, all as
little-endian u32. `tokens` counts BOS and EOS, `trained` EOS.

Run: python prompts_fstrings.py QUESTIONS.jsonl TOKENIZER.json
"""

import argparse
import hashlib
import itertools
import json
import os
import struct
import time

import tokenizers

INSTRUCTION = "Which of the options does the customer buy next?"
BATCH = 1000
EOS = 2


def read(path, limit=None):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in itertools.islice(lines, limit)]


def render(question):
    """The prompt and its completion."""
    history = "\n".join([" ".join(item["title"].split()) for item in question["history"]])
    options = [" ".join(item["title"].split()) for item in question["candidates"]]
    lines = "\n".join(options)
    prompt = f"{INSTRUCTION}\nBought, oldest first:\n{history}\nOptions:\n{lines}\nAnswer:\n"
    return prompt, options[question["answer"]]


def encode(tokenizer, questions):
    """Ids and loss mask of each question."""
    examples = []
    for start in range(0, len(questions), BATCH):
        pairs = [render(question) for question in questions[start : start + BATCH]]
        encodings = tokenizer.encode_batch([prompt + completion for prompt, completion in pairs])
        for (prompt, _), encoding in zip(pairs, encodings):
            ids = encoding.ids
            # Offsets count characters, as len does. Ends do not descend, so the trained tokens are the last.
            prompt_end, asked = len(prompt), len(ids)
            offsets = encoding.offsets
            while asked and offsets[asked - 1][1] > prompt_end:
                asked -= 1
            ids.append(EOS)
            examples.append((ids, [False] * asked + [True] * (len(ids) - asked)))
    return examples


def report(tool, seconds, examples, versions):
    """Prints the line of JSON; `examples` are ids and loss masks."""
    digest = hashlib.sha256()
    tokens = trained = 0
    for ids, mask in examples:
        count = sum(mask)
        digest.update(struct.pack(f"<{len(ids) + 1}I", *ids, count))
        tokens += len(ids)
        trained += count
    line = {
        "tool": tool,
        "seconds": round(seconds, 3),
        "questions": len(examples),
        "tokens": tokens,
        "trained": trained,
        "digest": digest.hexdigest(),
        "versions": versions,
    }
    print(json.dumps(line))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions")
    parser.add_argument("tokenizer")
    args = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = "2"  # both read once, by the first batch
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    questions = read(args.questions)
    tokenizer = tokenizers.Tokenizer.from_file(args.tokenizer)

    start = time.perf_counter()
    examples = encode(tokenizer, questions)
    seconds = time.perf_counter() - start
    report("fstrings+tokenizers", seconds, examples, {"tokenizers": tokenizers.__version__})


if __name__ == "__main__":
    main()
