"""The final query embeddings of a run: ``queries.npz``, which plots read without the model."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvis.atomic import atomic_path
from cvis.errors import UserError
from cvis.files import refuse_bomb
from cvis.runs.paths import RunFolder

FILE = RunFolder(Path()).queries.name


class Queries(NamedTuple):
    embeddings: np.ndarray  # float32 [N, D]
    step: np.ndarray  # int64 [N], the step that owns each


def write_queries(folder: Path | str, queries: np.ndarray, step: np.ndarray) -> None:
    """Write ``queries.npz`` of a run; atomic, equal queries give equal bytes.

    Args:
        queries: float32 [N, D].
        step: int64 [N], the step of the stream that owns each query.

    Raises:
        UserError: the file system refuses the write.
    """
    path = RunFolder(Path(folder)).queries
    with atomic_path(path) as temporary, temporary.open("wb") as file:  # of a mere name savez would make another
        np.savez(file, queries=queries, step=step)


def read_queries(folder: Path | str) -> Queries:
    """``queries.npz`` of a run, ordered by step.

    Raises:
        UserError: the run has none (it is older than the file, or its learner has no queries), or it is damaged.
    """
    path = RunFolder(Path(folder)).queries
    if not path.is_file():
        raise UserError(f"{path}: does not exist: the run is older than the file; run the same `cvis run` anew")
    try:
        refuse_bomb(path)
        with np.load(path, allow_pickle=False) as arrays:
            embeddings, step = arrays["queries"], arrays["step"]
    except Exception as error:  # zipfile and NumPy meet damage with a dozen kinds of error, MemoryError among them
        raise UserError(f"{path}: cannot be read ({error}); run the same `cvis run` anew") from error
    fits = embeddings.ndim == 2 and step.shape == embeddings.shape[:1] and len(step) > 0
    if not fits or embeddings.dtype.kind != "f" or step.dtype.kind != "i" or not np.isfinite(embeddings).all():
        raise UserError(
            f"{path}: queries {embeddings.dtype}{list(embeddings.shape)}, step {step.dtype}{list(step.shape)}: not "
            "finite float [N, D] and integer [N]; run the same `cvis run` anew"
        )
    order = np.argsort(step, kind="stable")
    return Queries(embeddings[order], step[order])


def run_name(folder: Path | str) -> str:
    """What the run is called in a title: ``<learner>, <seed>``, as its folders are."""
    return ", ".join(Path(folder).resolve().parts[-2:])
