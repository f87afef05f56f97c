"""The recipes of containers, read without the tools that build them."""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD_TOOLS = ("build-essential", "gcc", "g++", "cmake", "-dev", "python3-venv", "pip install", "-devel-")


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, each with what follows it, continued lines in one."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def copied() -> dict[str, str]:
    """Source -> target of what the first stage takes from the checkout."""
    pairs = {}
    for name, rest in stages()[0]:
        if name == "COPY":
            *sources, target = rest.split()
            pairs |= {source: str(Path("/src", target, source if target == "./" else "")) for source in sources}
    return pairs


def is_ignored(path: str) -> bool:
    """By the last line of .dockerignore that fits the path or a folder above it."""
    ignored = False
    above = [name for parent in (Path(path), *Path(path).parents) for name in (str(parent), parent.name)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line.startswith("#") and any(fnmatch(name, pattern) for name in above if name not in ("", ".")):
            ignored = not line.startswith("!")
    return ignored


def test_two_stages_of_one_pinned_base_and_no_tools_in_the_last():
    build, last = stages()
    bases = {stage[0][1].split()[0] for stage in (build, last)}
    assert len(bases) == 1
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-base-ubuntu\d\d\.\d\d", bases.pop())
    text = "\n".join(rest for _, rest in last)
    assert not [tool for tool in BUILD_TOOLS if tool in text]
    assert all("rm -rf /var/lib/apt/lists" in rest for _, rest in (*build, *last) if "apt-get install" in rest)


def test_it_runs_cvis_as_an_ordinary_user_with_data_and_caches_outside():
    last = dict(stages()[1])
    assert last["USER"] == "cvis"
    assert "useradd" in last["RUN"]
    assert last["ENTRYPOINT"] == '["cvis"]'
    volumes = re.findall(r'"([^"]+)"', last["VOLUME"])
    assert volumes == ["/cache", "/data", "/work"]
    assert all(f" {volume}" in last["RUN"] for volume in volumes)  # made for that user
    assert last["WORKDIR"] in volumes


def test_all_that_the_wheel_is_made_of_is_copied_and_not_ignored():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], PROJECT["project"]["readme"], "pyproject.toml"}
    needed |= {*PROJECT["project"]["license-files"], "constraints.txt"}
    assert copied().keys() == needed
    assert all((ROOT / source).exists() and not is_ignored(source) for source in needed)
    assert all(is_ignored(path) for path in (".git", "runs", "data", ".venv", "tests", "cvis/data/__pycache__"))


def test_the_versions_are_the_tested_ones():
    installs = [rest for _, rest in stages()[0] if "pip install" in rest]
    assert installs
    for command in " ".join(installs).split("&&"):
        if "pip install" in command:
            assert "--constraint constraints.txt" in command
            assert "opencv-python-headless" in command or {*re.findall(r"\w+", command.partition(".[")[2])} <= {
                *PROJECT["project"]["optional-dependencies"]
            }
    pinned = (ROOT / "constraints.txt").read_text()
    assert re.search(r"^torch==\d", pinned, re.MULTILINE)


def test_apptainer_makes_the_same_image():
    text = (ROOT / "apptainer.def").read_text()
    assert {*re.findall(r"^From: (\S+)", text, re.MULTILINE)} == {stages()[0][0][1].split()[0]}
    files = text.partition("%files\n")[2].partition("%post")[0].split()
    assert dict(zip(files[::2], files[1::2], strict=True)) == copied()
    commands = [" ".join(c.split()) for _, rest in stages()[0] if "pip" in rest for c in rest.split("&&")]
    assert [command for command in commands if command not in text] == []
    assert 'exec cvis "$@"' in text
