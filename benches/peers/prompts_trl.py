"""Questions to token ids and labels with TRL's SFTTrainer: a peer of nextcart's prompts.

Prompts are written with the f-strings of `prompts_fstrings.py`; a dataset with the columns `prompt` and
`completion` is handed to SFTTrainer with its defaults and two processes. Timed are the f-strings and
what the trainer's constructor does to prepare the dataset: adding EOS, tokenizing, building labels and
cutting at `max_length`. Reading the questions, building the dataset and the rest of the constructor
(with a tiny random model) are not timed.

TRL tokenizes the prompt, and the prompt with its completion and EOS as text, and trains what follows
their common prefix; a prompt that ends in a line break ends on a token's boundary with the Llama and
Mistral tokenizers, so ids and trained tokens equal those of `prompts_fstrings.py`, and so does the
digest, where no question is longer than 1,024 tokens. With a tokenizer that merges over the boundary,
TRL also trains the prompt's tokens that the completion changes.

Run: python prompts_trl.py QUESTIONS.jsonl TOKENIZER.json [FIRST_N]
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # TRL encodes one text at a time, in its own processes

import datasets  # noqa: E402
import tokenizers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from prompts_fstrings import read, render, report  # noqa: E402

PROCESSES = 2


class TimedTrainer(trl.SFTTrainer):
    def _prepare_dataset(self, *args, **kwargs):
        start = time.perf_counter()
        prepared = super()._prepare_dataset(*args, **kwargs)
        self.seconds = time.perf_counter() - start
        return prepared


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions")
    parser.add_argument("tokenizer")
    parser.add_argument("first", type=int, nargs="?")
    args = parser.parse_args()
    questions = read(args.questions, args.first)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=args.tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    shape = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
    )
    model = transformers.LlamaForCausalLM(shape)

    start = time.perf_counter()
    pairs = [render(question) for question in questions]
    seconds = time.perf_counter() - start

    prompts, completions = zip(*pairs)
    dataset = datasets.Dataset.from_dict({"prompt": prompts, "completion": completions})
    with tempfile.TemporaryDirectory() as folder:
        config = trl.SFTConfig(folder, dataset_num_proc=PROCESSES, report_to="none", use_cpu=True, bf16=False)
        trainer = TimedTrainer(model, args=config, train_dataset=dataset, processing_class=tokenizer)
    seconds += trainer.seconds

    examples = [(row["input_ids"], [label != -100 for label in row["labels"]]) for row in trainer.train_dataset]
    modules = [datasets, tokenizers, torch, transformers, trl]
    report("trl", seconds, examples, {module.__name__: module.__version__ for module in modules})


if __name__ == "__main__":
    main()
