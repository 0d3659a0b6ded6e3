"""One projection with a LoRA adapter, forward and backward, with PEFT; `qlora` on a bitsandbytes Linear4bit.

    projection_peft.py lora|qlora D_INPUT D_OUTPUT TOKENS STEPS

Prints one line of JSON: seconds of each step, bytes of the base's weight, and by how many MB the peak of the steps lies
above what the process held before.
"""
import json
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model

KIND, (D_INPUT, D_OUTPUT, TOKENS, STEPS) = sys.argv[1], map(int, sys.argv[2:6])
torch.set_num_threads(2)
torch.manual_seed(0)


def base():
    if KIND == "lora":
        return torch.nn.Linear(D_INPUT, D_OUTPUT, bias=False)
    import bitsandbytes as bnb
    layer = bnb.nn.Linear4bit(D_INPUT, D_OUTPUT, bias=False, compute_dtype=torch.float32, quant_type="nf4",
                              compress_statistics=True)
    layer.to("cpu")
    assert layer.weight.dtype == torch.uint8, "not packed"
    return layer


def held(parameter):
    state = getattr(parameter, "quant_state", None)
    parts = [parameter] if state is None else [parameter, state.absmax, state.state2.absmax]
    return sum(part.numel() * part.element_size() for part in parts)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = base()

    def forward(self, x):
        return self.proj(x)


model = get_peft_model(Model(), LoraConfig(r=16, lora_alpha=16, target_modules=["proj"]))
model.train()
weight = model.base_model.model.proj.base_layer.weight
x = torch.randn(TOKENS, D_INPUT)
before = resident()
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
times = []
for _ in range(STEPS):
    inputs = x.clone().requires_grad_()
    start = time.perf_counter()
    model(inputs).sum().backward()
    times.append(time.perf_counter() - start)
    assert inputs.grad is not None
    model.zero_grad(set_to_none=True)
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024 / 1e6
print(json.dumps(dict(seconds=times, weight=held(weight), above=peak - before)))
