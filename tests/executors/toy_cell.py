"""Stands for ``cvis``, with a run's files and lock: ``toy_cell.py run FOLDER SECONDS [--fail|--fail-once]``."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

from cvis.executors.child import follow_parent


def main() -> None:
    follow_parent()
    folder, seconds = Path(sys.argv[2]), float(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with (folder / "starts").open("a") as file:
            file.write(f"{time.time()}\n")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
        starts = len((folder / "starts").read_text().splitlines())
        print(f"step 0 train {starts}/400", flush=True)
        (folder / "pid.tmp").write_text(f"{os.getpid()} {os.getppid()}")
        (folder / "pid.tmp").rename(folder / "pid")  # whoever waits for it reads all of it
        time.sleep(60 if "--slow-once" in sys.argv and starts == 1 else seconds)
        if "--fail" in sys.argv or ("--fail-once" in sys.argv and starts == 1):
            sys.exit("broken: no such thing; mend it")
        (folder / "step0").mkdir(exist_ok=True)
        (folder / "step0" / "metrics.json").write_text("{}")
        if "--stop-after" not in sys.argv:
            (folder / "metrics.json").write_text(json.dumps({"steps": [{"train_s": 90.0, "eval_s": 10.0}]}))


if __name__ == "__main__":
    main()
