"""The predictions that a run stored, drawn on the videos of its data set. No model is needed, and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvis.data.videoset import VideoSet
from cvis.errors import UserError
from cvis.evaluation.check import check_masks, check_runs
from cvis.evaluation.results import entry_name, stream_results
from cvis.report.pictures.panels import MIN_SCORE, Panels, predicted_panel, truth_panel
from cvis.runs.open import OpenRun, open_run
from cvis.types import RLE, Tracks, Video


@dataclass(frozen=True)
class Recorded:
    """A run, finished or not, with its test videos."""

    run: OpenRun
    scenario: str
    test: VideoSet

    def video(self, wanted: int | str) -> Video:
        """A test video by its id or name.

        Raises:
            UserError: there is none; names some that there are.
        """
        by_name = {video.name: video for video in reversed(self.test.videos)}
        by_id = {str(video.id): video for video in self.test.videos}
        if video := by_id.get(str(wanted)) or by_name.get(str(wanted)):
            return video
        some = ", ".join(f"{video.id} ({video.name})" for video in self.test.videos[:5])
        raise UserError(
            f"--video {wanted}: not a test video of {self.scenario}, which has {len(self.test)}: {some}, ..; "
            f"see cvis visualize {self.run.folder.path} --list"
        )

    def panels(
        self, video: int | str, steps: Sequence[int] | None = None, min_score: float = MIN_SCORE, heading: bool = True
    ) -> Panels:
        """The ground truth of one video, and beside it what these steps predicted.

        Args:
            steps: default: all that are finished.
            min_score: predictions below it are left out.
            heading: with a line that names run and video above.

        Raises:
            UserError: no such video, a step that is not finished, or predictions that are missing or damaged.
        """
        chosen = self.video(video)
        names = {category.id: category.name for category in self.test.categories}
        columns = [truth_panel(self.test.tracks[chosen.id], names, chosen.id)]
        for step in self._finished(steps):
            known = sum(map(len, self.run.learned[: step + 1]))
            tracks = _read_video(self.run.predictions(step), self.test, chosen)
            columns.append(predicted_panel(f"step {step}: {known} classes", tracks, names, min_score))
        line = f"{self.run.name}  {self.scenario}  video {chosen.name}  scores ≥ {min_score:g}" if heading else ""
        return Panels(chosen, tuple(columns), line)

    def _finished(self, steps: Sequence[int] | None) -> list[int]:
        last = len(self.run.learned) - 1
        for step in steps or ():
            if not 0 <= step <= last:
                folder = self.run.folder.path
                raise UserError(f"--step {step}: {folder}: not a finished step of this run; choose of 0 to {last}")
        return sorted(set(steps)) if steps else list(range(last + 1))


def open_recorded(run_folder: Path, data: Path | None = None) -> Recorded:
    """A run on disk with the test videos of its stream.

    Args:
        data: the folder of the data set, if it is not where the run found it.

    Raises:
        UserError: not the folder of a run, no step is finished, or its data set is not on this machine or has changed.
    """
    run = open_run(run_folder)
    if not run.learned:
        raise UserError(f"{run_folder}: step0: no step is finished; run the same `cvis run` again")
    scenario = run.scenario(data)
    return Recorded(run, scenario.name, scenario.test)


def _read_video(path: Path, test: VideoSet, video: Video) -> Tracks:
    """The tracks of one video of a results file; the masks of the others are not decoded."""
    rows = []
    for first, tracks in stream_results(path, test):
        if tracks.video_id != video.id:
            continue
        for n, masks in enumerate(tracks.segmentations):
            check_masks(entry_name(path, first, n), video, masks)
            check_runs(entry_name(path, first, n), video, masks)
            compressed = tuple(m and _compressed(m) for m in masks)
            rows.append((tracks.category_ids[n], tracks.scores[n], compressed))
    return Tracks(video.id, *zip(*rows, strict=True)) if rows else Tracks(video.id, (), (), ())


def _compressed(mask: Any) -> RLE:
    """The file has its counts as text, pycocotools wants bytes."""
    return RLE(size=mask["size"], counts=mask["counts"].encode())
