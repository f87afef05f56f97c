"""The final query embeddings of a run, as its folder keeps them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvis.errors import UserError

FILE = "queries.npz"


class Queries(NamedTuple):
    embeddings: np.ndarray  # float32 [N, D]
    step: np.ndarray  # int64 [N], the step that owns each


def read_queries(folder: Path | str) -> Queries:
    """``queries.npz`` of a run, ordered by step.

    Raises:
        UserError: the run has none (it is older than the file, or its learner has no queries), or it is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise UserError(f"{path}: does not exist: the run is older than the file; run the same `cvis run` anew")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            embeddings, step = arrays["queries"], arrays["step"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
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
