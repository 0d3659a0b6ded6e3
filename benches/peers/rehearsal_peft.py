"""Fine-tuning at full size with PEFT, on bf16 weights or on bitsandbytes' NF4. Called by `benches/rehearsal.rs`.

    rehearsal_peft.py JOB
    rehearsal_peft.py check cpu|cuda

JOB is JSON: the folder `model`, whether it is `quantized`, the file `samples` (a line of JSON each with `input_ids`
and `completion_mask`), `steps`, `batch`, `threads`, and whether there is a `gpu`. Prints a line of JSON: seconds of
loading, of each step, losses, the loss of each trained token of the first batch before anything was trained, and the
peaks in MB of all and from the end of loading on, on a CPU those of the process. The head is computed where a token is
trained alone, as in `sft_torch.py`, and blocks are computed again on the way back.

The second says, by its status, whether this Python can do such jobs.
"""
import json
import os
import sys
import time

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else is printed
os.environ.setdefault("HF_HUB_OFFLINE", "1")
CHECK = sys.argv[1] == "check"
JOB = {"gpu": sys.argv[2] == "cuda", "threads": 1} if CHECK else json.loads(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = str(JOB["threads"])  # what bitsandbytes goes by

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

if CHECK:
    import bitsandbytes  # noqa: F401

    if JOB["gpu"] and not torch.cuda.is_available():
        sys.exit("error: PyTorch finds no GPU")
    sys.exit()

torch.set_num_threads(JOB["threads"])  # left alone, it may be the number of cores, not of their threads
DEVICE = "cuda" if JOB["gpu"] else "cpu"
# A card before Ampere only imitates bf16; there, nextcart computes in f32 as well.
HAS_BF16 = JOB["gpu"] and torch.cuda.is_bf16_supported(including_emulation=False)
COMPUTE = torch.bfloat16 if HAS_BF16 else torch.float32
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()


def peak():
    if JOB["gpu"]:
        return torch.cuda.max_memory_reserved() / 1e6
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024 / 1e6


def forget_peak():
    if JOB["gpu"]:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")


def load():
    packed = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=COMPUTE,
    )
    base = transformers.AutoModelForCausalLM.from_pretrained(
        JOB["model"],
        dtype=COMPUTE if JOB["gpu"] else torch.bfloat16,
        quantization_config=packed if JOB["quantized"] else None,
        device_map={"": DEVICE},
    )
    if JOB["quantized"] and not JOB["gpu"]:
        # What is not packed: in bf16 on a CPU, PyTorch would compute in bf16 as well. Read in f32 from the start, all
        # weights would be in f32 at one time before they are packed.
        for parameter in base.parameters():
            if parameter.dtype == torch.bfloat16:
                parameter.data = parameter.data.float()
    base.gradient_checkpointing_enable()
    base.enable_input_require_grads()
    lora = peft.LoraConfig(r=16, lora_alpha=16, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, lora)
    model.train()
    return base, model


began = time.perf_counter()
base, model = load()
loading = time.perf_counter() - began
loaded = peak()
forget_peak()
parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
if JOB["gpu"]:  # moments in 8 bits, as nextcart has them
    import bitsandbytes

    optimizer = bitsandbytes.optim.AdamW8bit(parameters, lr=1e-3, weight_decay=0.001)
else:
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.001)
with open(JOB["samples"]) as lines:
    samples = [json.loads(line) for line in lines]


def step(rows):
    ids = torch.tensor([row["input_ids"] for row in rows], device=DEVICE)
    trained = torch.tensor([row["completion_mask"] for row in rows], device=DEVICE)[:, 1:].bool()
    hidden = base.model(ids[:, :-1], use_cache=False).last_hidden_state[trained]
    each = torch.nn.functional.cross_entropy(
        base.lm_head(hidden).float(), ids[:, 1:][trained], reduction="none"
    )
    loss = each.mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item(), each.detach()


seconds, losses, token_losses = [], [], None
for start in range(0, JOB["steps"] * JOB["batch"], JOB["batch"]):
    began = time.perf_counter()
    loss, each = step(samples[start : start + JOB["batch"]])
    seconds.append(time.perf_counter() - began)
    losses.append(loss)
    token_losses = token_losses or each.tolist()
answer = dict(loading=loading, seconds=seconds, losses=losses, token_losses=token_losses)
answer |= dict(peak=max(loaded, peak()), step_peak=peak())
print(json.dumps(answer), file=ANSWERS, flush=True)
