"""Initial weights of a segmenter: COCO checkpoints, ImageNet backbones, or any file whose names it knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cvis.errors import UserError
from cvis.segmenters.contract import Segmenter
from cvis.segmenters.weights import fetch, read_state_dict, sha256


@dataclass(frozen=True)
class InitReport:
    """Where the initial weights came from."""

    source: str  # "random", or the file
    sha256: str | None
    matched: tuple[str, ...]  # parameters and buffers of the segmenter that were loaded
    missing: tuple[str, ...]  # those left as initialised
    unexpected: tuple[str, ...]  # keys of the file that were not used

    def __str__(self) -> str:
        """What was loaded, and the parts of which something was not."""
        rest = ((self.missing, "left as they were built"), (self.unexpected, "in the file and not used"))
        says = [f"{_parts(keys)}: {what}" for keys, what in rest if keys]
        return "; ".join([f"{len(self.matched)} tensors of {self.source}", *says])


def _parts(keys: Sequence[str]) -> str:
    """How many keys each part has: ``decoder (3), queries (1)``."""
    counts = Counter(key.partition(".")[0] for key in keys)
    return ", ".join(f"{part} ({count})" for part, count in counts.items())


def load_init(segmenter: Segmenter, source: str | Path) -> InitReport:
    """Give a freshly built segmenter its initial weights.

    Args:
        source: ``random``, ``imagenet`` (backbone only), ``coco`` (all but the class heads), or the path of a
            checkpoint of this segmenter, or of other software whose names it knows (:meth:`Segmenter.renamed`).
            A class head with another number of classes is left as it is.

    Raises:
        UserError: no such weights for this segmenter, no network, or a key of the file does not fit.
    """
    if str(source) == "random":
        return InitReport("random", None, (), tuple(segmenter.state_dict()), ())
    if str(source) in ("imagenet", "coco"):
        url = segmenter.weights.get(str(source))
        if url is None:
            known = ", ".join(["random", *segmenter.weights, "PATH"])
            raise UserError(f"init: {source!r}: no such weights are known for this segmenter; use one of {known}")
        path = fetch(url)
    else:
        path = Path(source)
    return load_state(segmenter, read_state_dict(path), path)


def load_state(segmenter: Segmenter, state: Mapping[str, Tensor], path: Path) -> InitReport:
    """Load a state dict under any names that the segmenter knows; see :func:`load_init`."""
    named = segmenter.renamed(state)
    current = segmenter.state_dict()
    scope = "backbone." if all(key.startswith("backbone.") for key in named) else ""
    matched = [key for key in named if key in current and current[key].shape == named[key].shape]
    missing = [key for key in current if key not in matched]
    unexpected = [key for key in named if key not in current]
    for key in named:
        if key in current and key not in matched and not key.startswith(segmenter.new_weights):
            raise UserError(
                f"{path}: {key}: shape {tuple(named[key].shape)}, but this segmenter has {tuple(current[key].shape)}; "
                "use the weights of the same architecture"
            )
    _refuse(segmenter, path, [key for key in missing if key.startswith(scope)], unexpected, matched)
    segmenter.load_state_dict({**current, **{key: named[key] for key in matched}})
    digest = sha256(path) if path.is_file() else None
    return InitReport(str(path), digest, tuple(matched), tuple(missing), tuple(unexpected))


def _refuse(segmenter: Segmenter, path: Path, missing: list[str], unexpected: list[str], matched: list[str]) -> None:
    """Raise for the first key that does not fit."""
    if not matched:
        raise UserError(f"{path}: no key fits this segmenter; give a checkpoint of the same architecture or backbone")
    for key in missing:
        if not key.startswith(segmenter.new_weights) and not key.endswith("num_batches_tracked"):
            raise UserError(f"{path}: {key}: not in the file; use the weights of the same architecture")
    for key in unexpected:
        if not key.startswith((*segmenter.new_weights, "backbone.fc.")):
            raise UserError(f"{path}: {key}: this segmenter has no such weight; use those of the same architecture")
