"""Two real processes: a rank without a track takes part, and the losses are those of the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from two_ranks import TRACKS, losses

SCRIPT = Path(__file__).with_name("two_ranks.py")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_a_rank_without_tracks_neither_hangs_nor_tilts_the_normaliser(tmp_path):
    """DistributedDataParallel averages over the ranks: the average must be the loss over all tracks at once."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT)]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=120)[0].decode() for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(said)
    full, empty = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    alone, nothing = losses(TRACKS), losses(0)
    for name, value in alone.items():
        if name.endswith("cls"):  # each rank's own mean over its queries
            assert full[name] == pytest.approx(value, rel=1e-5)
            assert empty[name] == pytest.approx(nothing[name], rel=1e-5)
        else:
            assert value > 0
            assert empty[name] == 0
            assert (full[name] + empty[name]) / 2 == pytest.approx(value, rel=1e-5)
