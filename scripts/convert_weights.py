"""Strip a checkpoint to its tensors, so that it loads without running code.

    python scripts/convert_weights.py downloaded.pth stripped.pth
    python scripts/convert_weights.py model_final.pkl stripped.pth

Checkpoints of mmengine may hold pickled objects (log buffers, configs), and those of detectron2's model zoo are pickles
of arrays. Unpickling them can run code: convert only files you trust.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from pathlib import Path

import numpy as np
import torch

from cvis.atomic import atomic_path
from cvis.errors import UserError


def convert(source: Path, target: Path) -> int:
    """Write the tensors of ``source``'s state dict to ``target``; returns how many there are."""
    try:
        if source.suffix == ".pkl":
            content = pickle.loads(source.read_bytes(), encoding="latin1")
        else:
            content = torch.load(source, map_location="cpu", weights_only=False)
    except Exception as error:  # unpickling can raise anything
        raise UserError(f"{source}: cannot be read: {error}; give a checkpoint file of torch") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and key in content:
            content = content[key]
    arrays = {key: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for key, v in dict(content).items()}
    tensors = {key: value for key, value in arrays.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UserError(f"{source}: holds no tensors; give a checkpoint of a model")
    with atomic_path(target) as temporary:
        torch.save({"state_dict": tensors}, temporary)
    return len(tensors)


def main() -> int:
    parser = argparse.ArgumentParser(description="Strip a checkpoint to its tensors.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    try:
        count = convert(arguments.source, arguments.target)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{arguments.target}: {count} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
