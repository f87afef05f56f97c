#!/usr/bin/env bash
# One call on a machine with a GPU: is everything found, how fast is it, does a whole stream run?
# Usage: scripts/gpu_check.sh [OUT]      DEVICE=cpu rehearses it without a GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
out=${1:-runs/gpu-check}
device=${DEVICE:-cuda}
cvis() { python3 -c 'from cvis.cli import main; main()' "$@"; }

cvis doctor || true  # says what is missing; what follows needs only the parts it uses
if [ "$device" = cuda ]; then
  python3 benchmarks/segmenter_speed.py --device cuda
  python3 benchmarks/segmenter_speed.py --device cuda --bf16
else
  python3 benchmarks/segmenter_speed.py --device cpu --segmenter mask2former_tiny --size 64 96 --clips 2 --rounds 2
fi
cvis run synthetic-20-4 --learner finetune --runs "$out" --device "$device" --set schedule.scale="${SCALE:-0.1}"
if python3 -c 'import open_clip, sklearn' 2>/dev/null; then
  cvis run synthetic-20-4 --learner crisp --runs "$out" --device "$device" --set schedule.scale="${SCALE:-0.1}"
else
  echo "crisp left out: open_clip or scikit-learn is missing"
fi
cvis compare "$out"
