"""On what kind of file system a folder lies, as far as it matters to locks: theirs may end at the machine."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/mounts")
NETWORK = re.compile(
    r"nfs4?|lustre|gpfs|beegfs|fhgfs|cifs|smb3|ceph|afs|9p|panfs|pvfs2|orangefs|virtiofs|wekafs"
    r"|fuse\.(sshfs|ceph|glusterfs|s3fs|gcsfuse|juicefs|mfs|moosefs|lizardfs|dfuse|bindfs|rclone)"
)
LOCAL_LOCKS = {"nolock", "local_lock=all", "local_lock=flock", "localflock"}
"""Mount options of NFS and Lustre under which a lock is not told to the server."""


def locks_note(folder: Path) -> str | None:
    """What is to be said of locks below ``folder``: it is on the network, where they may shut out this machine only.

    None: on a disk of this machine, or the system does not tell.
    """
    where = folder.resolve()
    found: tuple[Path, str, str] | None = None
    for place, kind, options in _mounts():
        if where.is_relative_to(place) and (found is None or place.is_relative_to(found[0])):  # a later one lies above
            found = place, kind, options
    if found is None or not NETWORK.fullmatch(found[1]):
        return None
    place, kind, options = found
    holds = "hold" if LOCAL_LOCKS & {*options.split(",")} else "may hold"
    return f"{place} is {kind}: locks {holds} on one machine only; never start a run on two machines at a time"


def _mounts() -> list[tuple[Path, str, str]]:
    """Place, kind and options of each mount, in the order in which they were made."""
    try:
        lines = [line.split() for line in MOUNTS.read_text(errors="replace").splitlines()]
    except OSError:
        return []
    return [(Path(re.sub(r"\\(\d{3})", _letter, line[1])), line[2], line[3]) for line in lines if len(line) > 3]


def _letter(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))
