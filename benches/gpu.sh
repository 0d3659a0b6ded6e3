#!/usr/bin/env bash
# What only a GPU can tell: whether kernels and training steps give what the CPU gives, and how fast and large full-size
# runs are.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: bash benches/gpu.sh [OPTIONS]

On a machine with a GPU: tests kernels and a few training steps against the CPU, takes 200 steps of TinyLlama-1.1B and
of Mistral-7B with QLoRA, on random weights of their exact shapes, the same with PEFT and bitsandbytes, and writes a
table. Crates, Python packages and the LLVM that CubeCL is built with are downloaded; the checkpoints take 17 GB of disk.
A test that fails is told in the table, and what comes after it runs all the same; the status is then 1.

  --backend NAME   cuda (default) or wgpu
  --runs LIST      of tinyllama_lora, tinyllama_qlora, mistral_qlora (default tinyllama_qlora,mistral_qlora)
  --steps N        optimiser steps of a run (default 200)
  --tokens N       tokens of a sample (default 384)
  --batch N        samples of a step (default 8)
  --out DIR        folder for the table and the Python environment (default out/gpu)
  --python FILE    a Python with benches/peers/requirements-models.txt (default: one is made)
  --no-peers       leave PEFT out; it needs an Nvidia GPU, and is left out where there is none
  --dry-run        print the commands and run none
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
# PyTorch's wheels know no other GPU.
if [ -z "$dry" ] && ! command -v nvidia-smi >/dev/null; then peers=''; fi
case $backend in cuda | wgpu) ;; *) fail "--backend: expected cuda or wgpu, found \`$backend\`" ;; esac
for number in steps tokens batch; do
    [[ ${!number} =~ ^[1-9][0-9]*$ ]] || fail "--$number: expected a number from 1 on, found \`${!number}\`"
done
# What the command line names lies where it was typed; the default lies in the repository.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case $python in '' | /*) ;; *) python=$PWD/$python ;; esac
case $out in '') out=$top/out/gpu ;; /*) ;; *) out=$PWD/$out ;; esac
cd "$top"

run() {
    printf '+ %s\n' "$*"
    [ -n "$dry" ] || "$@"
}

machine() {
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    else
        echo "a GPU through $backend"
    fi
}

if [ -z "$dry" ] && [ "$backend" = cuda ] && ! command -v nvidia-smi >/dev/null; then
    fail "no nvidia-smi, so no driver for an Nvidia GPU: try --backend wgpu, or --dry-run to see what would run"
fi
run mkdir -p "$out"

# Kernels and whole training steps against the CPU. The variable makes a missing GPU an error.
export NEXTCART_GPU=1
tests=passed
run cargo test --release -p nextcart-adapters -p nextcart-train --features "nextcart-train/$backend" --test gpu \
    --no-fail-fast || tests=FAILED

peer=() runs_ended=passed
if [ -n "$peers" ] && [ -z "$python" ]; then
    python=$out/peers/bin/python
    if [ ! -x "$python" ]; then
        run python3 -m venv "$out/peers" &&
            run "$python" -m pip install --quiet --requirement benches/peers/requirements-models.txt || {
            # Half of one would be taken for a whole one the next time.
            rm -rf "$out/peers"
            peers='' runs_ended='FAILED (no Python for PEFT)'
        }
    fi
fi
if [ -n "$peers" ]; then
    export NEXTCART_PYTHON=$python
    peer=(--peer)
fi

# One after the other, so that what fails takes nothing from the rest.
for name in ${runs//,/ }; do
    [ -n "$dry" ] || rm -f "$out/$name.md"
    run cargo bench -p nextcart-benches --features "$backend" --bench rehearsal -- --runs "$name" --steps "$steps" \
        --tokens "$tokens" --batch "$batch" ${peer[@]+"${peer[@]}"} --table "$out/$name.md" || runs_ended=FAILED
done

if [ -n "$dry" ]; then
    echo "+ the table goes to $out/table.md"
    exit
fi
{
    machine
    printf '\nTests against the CPU: %s. Full-size runs: %s.\n' "$tests" "$runs_ended"
    for name in ${runs//,/ }; do
        [ ! -f "$out/$name.md" ] || { echo && cat "$out/$name.md"; } # as far as it came
    done
} | tee "$out/table.md"
[ "$tests$runs_ended" = passedpassed ]
