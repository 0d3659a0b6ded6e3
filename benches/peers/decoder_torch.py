"""A Llama checkpoint under transformers: prefill, decoding, scoring of options. Speaks with `benches/decoder.rs`.

    decoder_torch.py FOLDER f32|bf16

Reads one JSON job a line, `{"prompt": [...], "options": [[...], ...], "new_tokens": n}`, and answers each with the
seconds of every part and what came out of it. Options are of one length. The dtype is that of the computation too.
"""
import json
import sys
import time

import torch
import transformers

torch.set_num_threads(2)
FOLDER, DTYPE = sys.argv[1], {"f32": torch.float32, "bf16": torch.bfloat16}[sys.argv[2]]
transformers.utils.logging.disable_progress_bar()
MODEL = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=DTYPE).eval()


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def prefill(prompt):
    return MODEL(prompt, use_cache=True, logits_to_keep=1)


def decode(prompt, count):
    """Greedy tokens; the time is that of the steps after the prompt."""
    out = prefill(prompt)
    past, token = out.past_key_values, out.logits[:, -1].argmax(-1, keepdim=True)
    tokens, start = [int(token)], time.perf_counter()
    for _ in range(count):
        out = MODEL(token, past_key_values=past, use_cache=True)
        token = out.logits[:, -1].argmax(-1, keepdim=True)
        tokens.append(int(token))
    return time.perf_counter() - start, tokens


def likelihood(logits, targets):
    return torch.log_softmax(logits.float(), -1).gather(-1, targets[..., None])[..., 0].sum(-1)


def score_each(prompt, options):
    """Every option with the whole prompt before it, all in one batch."""
    texts = torch.cat([prompt.expand(len(options), -1), options], 1)
    logits = MODEL(texts, use_cache=False, logits_to_keep=options.shape[1] + 1).logits
    return likelihood(logits[:, :-1], options)


def score_shared(prompt, options):
    """The prompt once, its keys and values repeated for the options."""
    out = prefill(prompt)
    past = out.past_key_values
    past.batch_repeat_interleave(len(options))
    more = MODEL(options[:, :-1], past_key_values=past, use_cache=True).logits
    first = out.logits[:, -1:].expand(len(options), 1, -1)
    return likelihood(torch.cat([first, more], 1), options)


@torch.inference_mode()
def job(prompt, options, new_tokens):
    prompt, options = torch.tensor([prompt]), torch.tensor(options)
    seconds, _ = timed(lambda: prefill(prompt))
    decoding, tokens = decode(prompt, new_tokens)
    shared, scores = timed(lambda: score_shared(prompt, options))
    each, _ = timed(lambda: score_each(prompt, options))
    a, b = torch.ones(1024, 2048, dtype=DTYPE), torch.ones(2048, 2048, dtype=DTYPE)
    gemm, _ = timed(lambda: torch.nn.functional.linear(a, b))
    return dict(prefill=seconds, decode=decoding, shared=shared, each=each, gemm=gemm, tokens=tokens,
                scores=scores.tolist())


for line in sys.stdin:
    print(json.dumps(job(**json.loads(line))), flush=True)
