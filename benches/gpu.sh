#!/usr/bin/env bash
# What only a GPU can tell: whether kernels and training steps give what the CPU gives, and how fast and large full-size
# runs are.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: bash benches/gpu.sh [OPTIONS]

On a machine with a GPU: tests kernels and a few training steps against the CPU, takes 200 steps of TinyLlama-1.1B and
of Mistral-7B with QLoRA, on random weights of their exact shapes, the same with PEFT and bitsandbytes, whose losses of
the first batch must agree token by token, and writes a table. Crates, Python packages and the LLVM that CubeCL is built
with are downloaded; the checkpoints take 17 GB of disk. A test that fails is told in the table, and what comes after it
runs all the same; the status is then 1.

  --backend NAME   cuda (default) or wgpu
  --runs LIST      of tinyllama_lora, tinyllama_qlora, mistral_qlora (default tinyllama_qlora,mistral_qlora)
  --steps N        optimiser steps of a run (default 200)
  --tokens N       tokens of a sample (default 384)
  --batch N        samples of a step (default 8)
  --out DIR        folder for the table and the Python environment (default out/gpu)
  --python FILE    a Python with benches/peers/requirements-models.txt, or its name on PATH (default: one is made)
  --no-peers       leave PEFT out; it needs an Nvidia GPU, and is left out where there is none
  --dry-run        print the commands, ready to be pasted, and run none
  --help           this text
HELP
}

fail() {
    echo "error: $*" >&2
    exit 2
}

backend=cuda runs=tinyllama_qlora,mistral_qlora steps=200 tokens=384 batch=8
out='' python='' peers=1 dry=''
while [ $# -gt 0 ]; do
    case $1 in
        --help) usage && exit ;;
        --dry-run) dry=1 && shift && continue ;;
        --no-peers) peers='' && shift && continue ;;
        --backend | --runs | --steps | --tokens | --batch | --out | --python)
            [ $# -gt 1 ] || fail "$1: expected a value" ;;
        *) fail "expected an option of --help, found \`$1\`" ;;
    esac
    declare "${1#--}=$2"
    shift 2
done
for name in ${runs//,/ }; do
    case $name in tinyllama_lora | tinyllama_qlora | mistral_qlora) ;; *) fail "--runs: expected names of --help, found \`$name\`" ;; esac
done
[ -n "$runs" ] || fail "--runs: expected names of --help, found none"
case $backend in cuda | wgpu) ;; *) fail "--backend: expected cuda or wgpu, found \`$backend\`" ;; esac
for number in steps tokens batch; do
    [[ ${!number} =~ ^[1-9][0-9]*$ ]] || fail "--$number: expected a number from 1 on, found \`${!number}\`"
done
# A bare name is looked for on PATH. Any other path lies where it was typed; the default lies in the repository.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
named=$python
case $python in '' | */*) ;; *) python=$(type -P "$python") || fail "--python: no \`$named\` on PATH" ;; esac
case $python in '' | /*) ;; *) python=$PWD/$python ;; esac
if [ -n "$python" ] && ! { [ -f "$python" ] && [ -x "$python" ]; }; then
    fail "--python: expected a program, found \`$named\`"
fi
case $out in '') out=$top/out/gpu ;; /*) ;; *) out=$PWD/$out ;; esac

# Asked before anything runs, so that what is missing costs nothing; the GPU's name is what the table begins with.
gpu="a GPU through $backend"
if [ -z "$dry" ]; then
    missing=''
    if ! command -v nvidia-smi >/dev/null; then
        missing='no nvidia-smi, so no driver for an Nvidia GPU'
    elif ! said=$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>&1); then
        missing="nvidia-smi fails (${said%%$'\n'*})"
    else
        gpu=$said
    fi
    if [ -n "$missing" ]; then
        [ "$backend" != cuda ] || fail "$missing: try --backend wgpu, or --dry-run to see what would run"
        peers='' # PyTorch's wheels know no other GPU
    fi
    # Where kernels are compiled, when they are first used, their headers are looked for in these.
    toolkit=/usr
    for folder in /opt/cuda /usr/local/cuda; do [ ! -e "$folder" ] || toolkit=$folder; done
    toolkit=${CUDA_PATH-$toolkit}
    if [ "$backend" = cuda ] && [ ! -f "$toolkit/include/cuda_runtime.h" ]; then
        fail "no CUDA toolkit: expected \`include/cuda_runtime.h\` in \`$toolkit\`: install CUDA 13, or set CUDA_PATH"
    fi
    if [ -n "$peers" ] && [ -z "$python" ] && [ -e "$out/peers" ] && [ ! -f "$out/peers/pyvenv.cfg" ]; then
        fail "--out: \`$out/peers\` is there and no Python environment, which is made in its place: name another folder"
    fi
    tools=(cargo)
    [ -z "$peers" ] || [ -n "$python" ] || tools+=(python3)
    for tool in "${tools[@]}"; do command -v "$tool" >/dev/null || fail "no \`$tool\` on PATH"; done
fi

# As a shell reads it again, variables and all.
run() {
    local line
    printf -v line ' %q' "$@"
    if [ -n "$dry" ]; then
        printf '%s\n' "${line# }"
    else
        printf '+%s\n' "$line"
        "$@"
    fi
}

run cd "$top"
run mkdir -p "$out"

# Kernels and whole training steps against the CPU. The variable makes a missing GPU an error.
tests=passed
run env NEXTCART_GPU=1 cargo test --release -p nextcart-adapters -p nextcart-train --features "nextcart-train/$backend" \
    --test gpu --no-fail-fast || tests=FAILED

peft='left out, so that nothing was compared with it'
if [ -n "$peers" ]; then
    peft='beside them'
    if [ -z "$python" ]; then
        python=$out/peers/bin/python
        # Written last, so that half of one, such as Ctrl-C leaves, is made again.
        whole=$out/peers/whole
        if [ ! -f "$whole" ]; then
            run python3 -m venv "$out/peers" --clear &&
                run "$python" -m pip install --quiet --requirement benches/peers/requirements-models.txt &&
                run "$python" -c 'import sys, torch, peft; open(sys.argv[1], "w")' "$whole" ||
                peers='' peft='FAILED (its packages cannot be installed)'
        fi
    fi
    # Without PEFT, the runs still tell what is ours.
    [ -z "$peers" ] || run "$python" benches/peers/rehearsal_peft.py check cuda || {
        peers='' peft='FAILED (its Python cannot do its part)'
    }
fi
peer=() variables=()
if [ -n "$peers" ]; then
    peer=(--peer) variables=(env "NEXTCART_PYTHON=$python")
fi

# One after the other, so that what fails takes nothing from the rest.
runs_ended=passed
for name in ${runs//,/ }; do
    run rm -f "$out/$name.md"
    run ${variables[@]+"${variables[@]}"} cargo bench -p nextcart-benches --features "$backend" --bench rehearsal -- \
        --runs "$name" --steps "$steps" --tokens "$tokens" --batch "$batch" ${peer[@]+"${peer[@]}"} \
        --table "$out/$name.md" || runs_ended=FAILED
done

if [ -n "$dry" ]; then
    echo "# The table goes to $(printf %q "$out/table.md")."
    exit
fi
{
    echo "$gpu"
    printf '\nTests against the CPU: %s. Full-size runs: %s. PEFT: %s.\n' "$tests" "$runs_ended" "$peft"
    for name in ${runs//,/ }; do
        [ ! -f "$out/$name.md" ] || printf '\n%s\n' "$(cat "$out/$name.md")" # as far as it came
    done
} | tee "$out/table.md"
[[ $tests$runs_ended$peft != *FAILED* ]]
