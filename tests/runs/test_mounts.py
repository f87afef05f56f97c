"""File systems whose locks may end at the machine are known by the table of mounts."""

from __future__ import annotations

import pytest

from cvis.runs import mounts
from cvis.runs.mounts import locks_note

TABLE = r"""
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2,local_lock=none 0 0
tmpfs /home/scratch tmpfs rw 0 0
old:/data /data nfs rw,nolock,vers=3 0 0
1@tcp:/work /work\040here lustre rw,flock 0 0
user@host: /mnt/far fuse.sshfs rw 0 0
/dev/fuse /mnt/near fuse.ntfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("/var/runs", None),
        ("/home/me/runs", "/home is nfs4: locks may hold on one machine only; never start a run on two machines at a"),
        ("/homes/runs", None),
        ("/home/scratch/runs", None),
        ("/data", "/data is nfs: locks hold on one machine only"),
        ("/work here/runs", "/work here is lustre: locks may hold"),
        ("/mnt/far/runs", "/mnt/far is fuse.sshfs: locks may hold"),
        ("/mnt/near/runs", None),
    ],
)
def test_the_mount_that_a_folder_lies_on_decides(tmp_path, monkeypatch, folder, says):
    table = tmp_path / "mounts"
    table.write_text(TABLE.strip())
    monkeypatch.setattr(mounts, "MOUNTS", table)
    note = locks_note(mounts.Path(folder))
    assert (note is None) == (says is None)
    assert (note or "").startswith(says or "")


def test_a_system_that_does_not_tell_is_no_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert locks_note(tmp_path) is None
