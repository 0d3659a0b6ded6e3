"""Fine-tuning of a LoRA adapter with TRL's SFTTrainer and PEFT. Speaks with `benches/sft.rs`.

    sft_trl.py JOB

JOB is JSON: the folders `model` and `adapter`, the file `samples` (a line of JSON each with `input_ids` and
`completion_mask`), `steps`, `batch`, `learning_rate` and `checkpointing`. Takes a step for each line of the standard
input and answers with its seconds, from there to where the next step could begin, its loss, and the process's peak
memory in MB. All but these values is as TRL sets it, only in f32 and in the order of the file.
"""
import json
import os
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "2"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else is printed

import datasets  # noqa: E402
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402

torch.set_num_threads(2)
datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
JOB = json.loads(sys.argv[1])


def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024 / 1e6


class Turns(transformers.TrainerCallback):
    """Holds each step back until a line comes, and answers when the trainer is ready for the next."""

    start = loss = None

    def answer(self):
        if self.start is not None:
            seconds = time.perf_counter() - self.start
            print(json.dumps(dict(seconds=seconds, loss=self.loss, peak=peak())), file=ANSWERS, flush=True)

    def on_step_begin(self, *args, **kwargs):
        self.answer()
        if not sys.stdin.readline():
            sys.exit()
        self.start = time.perf_counter()

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.loss = logs.get("loss", self.loss)

    def on_train_end(self, *args, **kwargs):
        self.answer()


def tokenizer():
    """Samples are tokens already: only the id to pad with is asked of it."""
    file = transformers.PreTrainedTokenizerFast(tokenizer_file=os.path.join(JOB["model"], "tokenizer.json"))
    file.eos_token = file.pad_token = file.convert_ids_to_tokens(MODEL.config.eos_token_id)
    return file


MODEL = transformers.AutoModelForCausalLM.from_pretrained(JOB["model"], dtype=torch.float32)
ADAPTED = peft.PeftModel.from_pretrained(MODEL, JOB["adapter"], is_trainable=True)
with open(JOB["samples"]) as lines:
    SAMPLES = datasets.Dataset.from_list([json.loads(line) for line in lines])

with tempfile.TemporaryDirectory() as folder:
    config = trl.SFTConfig(
        folder,
        max_steps=JOB["steps"],
        per_device_train_batch_size=JOB["batch"],
        learning_rate=JOB["learning_rate"],
        gradient_checkpointing=JOB["checkpointing"],
        completion_only_loss=True,
        train_sampling_strategy="sequential",
        use_cpu=True,
        bf16=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = trl.SFTTrainer(
        ADAPTED, args=config, train_dataset=SAMPLES, processing_class=tokenizer(), callbacks=[Turns()]
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
