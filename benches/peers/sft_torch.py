"""Fine-tuning of a LoRA adapter with PEFT in a loop written by hand. Speaks with `benches/sft.rs` as `sft_trl.py` does.

    sft_torch.py JOB

What TRL does not do on a CPU: the head is computed where a token is trained and nowhere else, nothing is measured
besides the loss, and there is no attention mask, which rows padded on the right do not need.
"""
import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "2"
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else is printed

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

torch.set_num_threads(2)
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
JOB = json.loads(sys.argv[1])


def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024 / 1e6


def padded(rows):
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


base = transformers.AutoModelForCausalLM.from_pretrained(JOB["model"], dtype=torch.float32)
model = peft.PeftModel.from_pretrained(base, JOB["adapter"], is_trainable=True)
model.train()
if JOB["checkpointing"]:
    base.gradient_checkpointing_enable()
    base.enable_input_require_grads()
parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=JOB["learning_rate"], weight_decay=0.0, fused=True)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / JOB["steps"])
with open(JOB["samples"]) as lines:
    samples = [json.loads(line) for line in lines]


def step(rows):
    ids = padded([row["input_ids"] for row in rows])
    trained = padded([row["completion_mask"] for row in rows])[:, 1:].bool()
    hidden = base.model(ids[:, :-1], use_cache=False).last_hidden_state[trained]
    loss = torch.nn.functional.cross_entropy(base.lm_head(hidden), ids[:, 1:][trained])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


for start in range(0, JOB["steps"] * JOB["batch"], JOB["batch"]):
    if not sys.stdin.readline():
        break
    began = time.perf_counter()
    loss = step(samples[start : start + JOB["batch"]])
    seconds = time.perf_counter() - began
    print(json.dumps(dict(seconds=seconds, loss=loss, peak=peak())), file=ANSWERS, flush=True)
