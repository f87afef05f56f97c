"""``cvis predict`` in a notebook: a trained run on one's own footage, to be watched where it was made."""

from __future__ import annotations

import base64
import tempfile
from collections import Counter
from dataclasses import dataclass
from html import escape
from pathlib import Path

from cvis.errors import UserError
from cvis.types import Tracks


@dataclass(frozen=True, repr=False)
class Prediction:
    """What a trained run sees in a video. A notebook plays it.

    Attributes:
        tracks: all of them, also those below ``min_score``.
        classes: id -> name, those that the run has learned.
        mp4: the video with the tracks of at least ``min_score``, drawn.

    >>> import cvis
    >>> seen = cvis.predict("runs/tiny/mask2former_tiny/finetune/seed0", "film", min_score=0.0)
    >>> seen._repr_html_()[:6], seen.below
    ('<video', 0)
    """

    name: str
    tracks: Tracks
    classes: dict[int, str]
    min_score: float
    mp4: bytes

    @property
    def found(self) -> dict[str, int]:
        """Class -> how many tracks of it have at least ``min_score``.

        >>> import cvis
        >>> cvis.predict("runs/tiny/mask2former_tiny/finetune/seed0", "film", min_score=1.0).found
        {}
        """
        scored = zip(self.tracks.category_ids, self.tracks.scores, strict=True)
        sure = Counter(self.classes[category] for category, score in scored if score >= self.min_score)
        return dict(sure.most_common())

    @property
    def below(self) -> int:
        """How many tracks have less, and are not drawn.

        >>> import cvis
        >>> seen = cvis.predict("runs/tiny/mask2former_tiny/finetune/seed0", "film", min_score=1.0)
        >>> seen.below == len(seen.tracks.scores)
        True
        """
        return sum(score < self.min_score for score in self.tracks.scores)

    def save(self, path: Path | str) -> Path:
        """Write the video to a file.

        >>> import cvis
        >>> cvis.predict("runs/tiny/mask2former_tiny/finetune/seed0", "film").save("found.mp4").name
        'found.mp4'
        """
        from cvis.atomic import atomic_path

        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(self.mp4)
        return Path(path)

    def __repr__(self) -> str:
        seen = ", ".join(f"{count} {name}" for name, count in self.found.items()) or "nothing"
        return f"{self.name}: {seen} (scores ≥ {self.min_score:g}; {self.below} tracks below)"

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.mp4).decode()
        video = f'<video controls loop muted style="max-width: 100%" src="data:video/mp4;base64,{source}"></video>'
        return f"{video}<p>{escape(repr(self))}</p>"


def predict(
    run: Path | str,
    video: Path | str,
    *,
    step: int | None = None,
    min_score: float = 0.3,
    every: int = 1,
    fps: float = 6.0,
    device: str = "auto",
    trust: bool = False,
) -> Prediction:
    """Find the classes of a trained run in a video file, or a folder of frames; as ``cvis predict``.

    >>> import cvis
    >>> cvis.predict("runs/tiny/mask2former_tiny/finetune/seed0", "film", min_score=1.0)  # doctest: +ELLIPSIS
    film: nothing (scores ≥ 1; ... tracks below)

    Args:
        run: the folder of a finished run.
        step: the model after this step; default: the last.
        min_score: tracks with less are not drawn.
        every: use every n-th frame only.
        trust: run the Python file that the run names as its learner or segmenter.

    Raises:
        UserError: not a finished run, no such step, or a video that cannot be read.
    """
    if not 0 <= min_score <= 1:
        raise UserError(f"min_score: {min_score:g}: is no score; give a number from 0 to 1")
    from cvis.data.footage import footage
    from cvis.engine.predict import load_trained
    from cvis.report.pictures.files import write_panels
    from cvis.report.pictures.panels import Panels, predicted_panel

    trained = load_trained(Path(run), step, device, trust)
    with footage([Path(video)], every) as (film,), tempfile.TemporaryDirectory() as folder:
        (tracks,) = trained.predict([film])
        panel = predicted_panel(f"step {trained.step}", tracks, trained.classes, min_score)
        file = Path(folder) / "found.mp4"
        write_panels(Panels(film, (panel,), f"{trained.name}  {film.name}"), file, fps)
        return Prediction(film.name, tracks, trained.classes, min_score, file.read_bytes())
