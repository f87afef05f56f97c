#!/usr/bin/env bash
# One call on a machine with a GPU. Prints what is found, speed and memory in fp32 and bf16, how far the model is from
# mmdet's own and from itself on a CPU and in bf16, and the table of a short stream with every learner.
#
# Usage: scripts/gpu_check.sh [OUT]     OUT: folder of the runs (runs/gpu-check); the same one again resumes
#
#   PYTHON=python3     needs cvis's dependencies and a torch with CUDA; no network, no data set, no pytest; with
#                      deformops (pip install "cvis[gpu]") attention is measured by its kernels too
#   DEVICE=cuda        cpu rehearses it
#   SCALE=0.1          of the schedule's iterations
#   LEARNERS="..."     beside finetune
#
# What fails is named at the end, and the exit code is then 1; the rest is run nevertheless.
set -euo pipefail
case ${1:-} in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  -*) echo "$0: $1: unknown; see --help" >&2; exit 2 ;;
esac
out=$(realpath -m -- "${1:-runs/gpu-check}") # of where it was called
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
python=${PYTHON:-python3} device=${DEVICE:-cuda}
read -ra learners <<<"${LEARNERS-mib comformer combo balconpas pseudo replay eclipse crisp joint}"
failed=()

try() { # NAME COMMAND...: run it, and remember if it fails
  printf '\n== %s\n' "$1"
  "${@:2}" || failed+=("$1")
}
cvis() { "$python" -c 'from cvis.cli import main; main()' "$@"; }
stream() { # NAME LEARNER OPTION...
  try "$1" cvis run synthetic-20-4 --learner "$2" --name "$1" --runs "$out" --device "$device" \
    --set schedule.scale="${SCALE:-0.1}" "${@:3}"
}

try doctor cvis doctor
if [ "$device" = cuda ]; then
  # stop here rather than let every part say so
  "$python" -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "torch sees no CUDA device")'
  try "speed in fp32" "$python" benchmarks/segmenter_speed.py --device cuda
  # whose images_per_s and iterations_per_s benchmarks/protocol_cost.py makes hours of
  try "speed in bf16" "$python" benchmarks/segmenter_speed.py --device cuda --bf16 --clips 16
  try "shares of an iteration, beside mmdet's" "$python" benchmarks/shares.py --device cuda --bf16 --clips 16
  try "deformable attention" "$python" benchmarks/attention_speed.py --device cuda --batch 16
  try "cost of a method" "$python" benchmarks/distillation_cost.py --device cuda --bf16 --size paper --clips 8 \
    --methods eclipse eclipse-views crisp crisp-views mib comformer combo balconpas pseudo
else
  try speed "$python" benchmarks/segmenter_speed.py --device cpu --segmenter mask2former_tiny --size 64 96 \
    --clips 2 --rounds 2
fi
stream finetune finetune
stream finetune-fp32 finetune --set runtime.amp=off
try parity "$python" benchmarks/device_parity.py --device "$device" \
  --run "$out/synthetic-20-4/mask2former_tiny/finetune-fp32/seed0"
for learner in "${learners[@]}"; do
  stream "$learner" "$learner"
done
stream comformer-paper comformer --preset comformer_paper # soft masks: the losses look at all queries at every point
try table cvis compare "$out"
if ((${#failed[@]})); then
  (IFS=,; printf '\nfailed: %s\n' "${failed[*]}") >&2
  exit 1
fi
