"""The final query embeddings of a run, as a file that plots can read without the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cvis.atomic import atomic_path
from cvis.segmenters.contract import QueryGroups


def write_queries(path: Path | str, segmenter: QueryGroups) -> None:
    """Write the learned queries of all groups, in the order of the groups; atomic, equal queries give equal bytes.

    The file holds ``queries`` float32 [N, D] and ``step`` int64 [N], the step of the stream that owns each query.

    Raises:
        UserError: the file system refuses the write.
    """
    groups = [segmenter.group(index) for index in range(len(segmenter.groups))]
    queries = torch.cat([group.queries.detach().float().cpu() for group in groups])
    steps = [group.step for group in groups for _ in range(len(group))]
    with atomic_path(path) as temporary, temporary.open("wb") as file:  # of a mere name savez would make another
        np.savez(file, queries=queries.numpy(), step=np.asarray(steps, dtype=np.int64))
