"""Tasks of a real Ray cluster on this machine: order, failures, and a node that is lost."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import ray
from toy_cells import starts

from cvis.errors import UserError
from cvis.executors.local import NEVER_BEGUN
from cvis.executors.profile import Profile
from cvis.executors.ray import execute
from cvis.executors.status import status_of


@pytest.fixture(scope="module")
def cluster():
    """Two processors, a small object store, no dashboard; the tests' own modules are not its workers' matter."""
    ray.init(num_cpus=2, object_store_memory=80 << 20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_order_failures_and_a_lost_worker(cluster, toy, monkeypatch):
    """The worker of a cell is killed while it runs: Linux ends the cell, the task starts again, the cell goes on."""
    first = toy("a/seed0/step0")
    slow = toy("d/seed0", "--slow-once")
    cells = [first, toy("c/seed0/step0", "--fail"), slow]
    cells += [toy("a/seed0", after=first.name), toy("b/seed0", after="c/seed0/step0")]
    threading.Thread(target=_kill_the_parent_of, args=(slow,), daemon=True).start()
    told = []
    codes = execute(cells, Profile(attempts=3), told.append)
    assert codes == {first.name: 0, "c/seed0/step0": 1, slow.name: 0, "a/seed0": 0, "b/seed0": NEVER_BEGUN}
    assert starts(cells[3])[1] > starts(first)[0]
    assert len(starts(slow)) == 2
    assert [status_of(cell).state for cell in cells] == ["done", "failed", "done", "done", "waiting"]
    assert "c/seed0/step0: failed: broken: no such thing; mend it" in told


def test_a_cluster_that_is_not_there_is_one_line(toy, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("no GCS")))
    with pytest.raises(UserError, match=r"--executor ray: address: 10\.0\.0\.1:6379: no GCS; start it with"):
        execute([toy("a/seed0")], Profile(address="10.0.0.1:6379"), print)


def _kill_the_parent_of(cell) -> None:
    while not (cell.folder / "pid").is_file():
        time.sleep(0.05)
    _, parent = map(int, (cell.folder / "pid").read_text().split())
    os.kill(parent, signal.SIGKILL)
