"""One rank of two: the losses of its clip, the second rank's without any track; started by test_ranks.py."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import torch

from cvis.segmenters.mask2former.criterion import Criterion, softmax_cross_entropy
from cvis.segmenters.outputs import Output

TRACKS = 3


def losses(tracks: int) -> dict[str, float]:
    """Of a fixed clip with its first ``tracks`` tracks; the backward pass must end too."""
    torch.manual_seed(0)
    logits, masks = torch.randn(1, 5, 4, requires_grad=True), torch.randn(1, 5, 2, 8, 8, requires_grad=True)
    outputs = [Output(logits, torch.zeros(0), torch.zeros(0), torch.zeros(0), masks)] * 2
    columns, truth = torch.tensor([0, 1, 2]), torch.rand(TRACKS, 2, 16, 16) > 0.5
    found = Criterion(num_points=50)(outputs, [columns[:tracks]], [truth[:tracks]], softmax_cross_entropy)
    sum(found.values()).backward()
    assert logits.grad is not None
    assert masks.grad is not None
    return {name: value.item() for name, value in found.items()}


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=30))
    found = losses(0 if rank else TRACKS)
    torch.distributed.barrier()  # a rank that waits for a sum too many or too few hangs here, and times out
    (folder / f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
