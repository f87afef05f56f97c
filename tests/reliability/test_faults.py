"""Machines, disks and data fail: each time one line says what to do, and nothing finished is lost."""

from __future__ import annotations

import errno
import fcntl
import json
import re
import shutil
import subprocess
from pathlib import Path

import faults
import pytest
import torch
from compared_runs import assert_same_run
from processes import Stream
from tiny import make_data
from torch import nn
from typer.testing import CliRunner

import cvis
from cvis.cli import app
from cvis.cli.doctor import locks_problem
from cvis.engine.evaluate import predict_videos
from cvis.errors import UserError
from cvis.runs.folder import locked
from cvis.types import Tracks, Video


def test_disk_full(stream, undisturbed, tmp_path):
    """Disk full: stops in a line that names the file; finished steps stay; with room again the same command goes on."""
    run = Stream(stream, tmp_path / "runs")
    assert run.run(faults.disk_full_from_step_1) == 2
    assert re.search(r"step1/last\.pth: cannot be written: .*; free space or choose another folder$", run.said[-1])
    assert (run.folder / "step0" / "metrics.json").is_file()
    assert not list(run.folder.rglob("*.tmp"))
    assert run.run() == 0
    assert_same_run(undisturbed("finetune"), run.folder)


def test_small_disk(stream, undisturbed, tmp_path):
    """Disk full, a real one of 1 MB: the same, and the same bits once it has been made larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "cvis-test", disk], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        run = Stream(stream, disk / "runs")
        run.log = tmp_path / "log"
        assert run.run() == 2
        assert "cannot be written: No space left on device; free space or choose another folder" in run.said[-1]
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        assert run.run() == 0
        assert_same_run(undisturbed("finetune"), run.folder)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_folder_that_cannot_be_written(stream, tmp_path):
    """Output folder read-only: a line that names it, before anything is trained."""
    run = Stream(stream, Path("/proc/cvis-runs"))  # nobody may write there, root neither
    run.log = tmp_path / "log"
    assert run.run() == 2
    assert re.search(r"^cvis: /proc/cvis-runs/.*: cannot be made: .*; choose another --runs folder$", run.said[-1])


def test_loader_worker_dies(stream, undisturbed, tmp_path):
    """A loading process that dies: a line that names the likely reason; signals to all processes do not kill one."""
    run = Stream(stream, tmp_path / "runs")
    assert run.run(faults.loader_worker_dies, "--workers", "1") == 2
    assert run.said[-1].startswith("cvis: data loading: DataLoader worker (pid")
    assert "give fewer --workers, and run the same command again" in run.said[-1]
    assert run.run() == 0
    assert any("resuming at iteration " in line for line in run.said)
    assert_same_run(undisturbed("finetune"), run.folder)


def test_bad_frame(tmp_path):
    """A frame of a training video that cannot be read: a line with its name; with --on-bad-frame skip the run goes on
    with another clip, and metrics.json, compare and steps say how often."""
    scenario = make_data(tmp_path / "data")
    for damaged in sorted((tmp_path / "data" / "train").glob("v000/*.jpg")):
        damaged.write_bytes(damaged.read_bytes()[:200])
    run = Stream(scenario, tmp_path / "runs", "finetune", "schedule.batch_size=6")
    assert run.run() == 2
    assert "v000/" in run.said[-1]
    assert run.said[-1].endswith("or leave such clips out: --on-bad-frame skip")
    assert run.run(None, "--on-bad-frame", "skip") == 0
    steps = json.loads((run.folder / "metrics.json").read_text())["steps"]
    count = sum(step["skipped_clips"] for step in steps)
    assert steps[0]["skipped_clips"] >= 1  # 36 clips of 12 videos or fewer: each comes
    assert sum("another clip in place of one with a bad frame" in line for line in run.said) == count
    assert not (run.runs / "step0-store").exists()  # others must not start from such a model
    for command in ("compare", "steps"):
        assert (
            f"{count} training clips with an unreadable frame were"
            in CliRunner().invoke(app, [command, str(run.runs)]).stdout
        )


def test_out_of_memory_in_evaluation(stream, tmp_path):
    """Out of memory in evaluation: the video again in smaller windows, and a line that says so."""
    run = Stream(stream, tmp_path / "runs", "finetune", "segmenter.test.window=2")
    assert run.run(faults.memory_for_one_frame) == 0
    said = [line for line in run.said if "out of memory in evaluation" in line]
    assert len(said) == 3 * 4  # steps, videos
    assert "again in windows of 1 frames" in said[0]


class Hungry(nn.Module):
    """Stands for a learner and its segmenter, whose windows of more than ``fits`` frames take too much memory."""

    def __init__(self, window: int | None, fits: int, error: Exception) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.window, self.fits, self.error = window, fits, error
        self.tried: list[int | None] = []

    @property
    def segmenter(self) -> Hungry:
        return self

    def predict(self, video: Video) -> Tracks:
        self.tried.append(self.window)
        if self.window is None or self.window > self.fits:
            raise self.error
        return Tracks(video.id, (), (), ())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["python", "gpu", "cpu"],
)
def test_memory_decides_the_window_of_a_video(error):
    """Out of memory in evaluation, on a GPU or a CPU: windows are halved down to one frame, for that video alone."""
    videos = [Video(number, f"v{number}", 4, 4, (Path("a.jpg"),) * 9) for number in (1, 2)]
    hungry = Hungry(8, 2, error)
    assert [tracks.video_id for tracks in predict_videos(hungry, videos, "test", False)] == [1, 2]
    assert hungry.tried == [8, 4, 2] * 2
    assert hungry.window == 8
    for hopeless in (Hungry(8, 0, error), Hungry(None, 0, error)):
        with pytest.raises(
            UserError, match=r"video v1: 9 frames: out of memory in evaluation; .*what is trained is saved"
        ):
            predict_videos(hopeless, videos, "test", False)


def test_another_error_in_evaluation_is_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="sizes differ"):
        predict_videos(Hungry(8, 0, RuntimeError("sizes differ")), [Video(1, "v", 4, 4, ())], "test", False)


def test_clock_jumps(stream, undisturbed, tmp_path):
    """A clock that jumps: nothing notices; durations are measured by a clock that does not."""
    run = Stream(stream, tmp_path / "runs")
    assert run.run(faults.clock_jumps) == 0
    assert_same_run(undisturbed("finetune"), run.folder)
    assert json.loads((run.folder / "run.json").read_text())["wall_s"] > 0
    looks = re.compile(r"\btime\.time\(|\bdatetime\b|\bst_mtime\b")
    package = Path(cvis.__file__).parent
    looking = {str(path.relative_to(package)) for path in package.rglob("*.py") if looks.search(path.read_text())}
    assert looking == {"executors/status.py"}  # which says of another machine's cell how long its log has been silent


def test_doctor_finds_locks_that_do_not_lock(tmp_path, monkeypatch):
    """A file system without working locks: `cvis doctor` tries it with a second process, and names the remedy."""
    assert locks_problem(tmp_path) is None
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", lambda *_: None)  # as over NFS with local_lock: both processes get it
        assert "do not keep a second process out" in locks_problem(tmp_path)

    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    assert re.search(r"No locks available\): write to a local disk \(--runs\)", locks_problem(tmp_path))
    shown = CliRunner().invoke(app, ["doctor", "--runs", str(tmp_path / "not" / "yet")]).stdout
    assert re.search(r"file locks +do not work at ", shown)


def test_run_without_locks(tmp_path, monkeypatch, caplog):
    """A file system without locks: a run goes on with a warning, and is not told of another process."""

    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with caplog.at_level("WARNING", logger="cvis"), locked(tmp_path / "run"):
        assert "never start this run twice at a time" in caplog.text


def test_second_process_in_a_folder(tmp_path):
    """The same run started twice: the second one is refused."""
    with locked(tmp_path), pytest.raises(UserError, match="another process is at work on this run"), locked(tmp_path):
        pass


def test_deterministic(stream, undisturbed, tmp_path):
    """--deterministic: torch's deterministic algorithms; on a CPU the same bits as a run without."""
    run = Stream(stream, tmp_path / "runs")
    assert run.run(faults.tells_algorithms, "--deterministic") == 0
    assert "deterministic algorithms: True" in run.said
    assert_same_run(undisturbed("finetune"), run.folder)
    assert json.loads((run.folder / "run.json").read_text())["config"]["runtime"]["deterministic"] is True
    (run.folder / "metrics.json").unlink()
    shutil.rmtree(run.folder / "step2")
    assert run.run() == 2
    assert "runtime.deterministic: this run was begun with True, not False" in run.said[-1]
