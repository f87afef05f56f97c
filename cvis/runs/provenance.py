"""How a run was made: the command, the code and the machine, from the ``run.json`` in its folder."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from cvis.errors import escaped
from cvis.runs.paths import RunFolder
from cvis.runs.record import read_json

NOT_RECORDED = "not recorded"
WHERE = ("--runs", "--data", "--workers", "--logger")
"""Options that say where files are and what helps; they change no number."""
WHERE_KEYS = re.compile(r"runtime\.(runs|data|workers|loggers|checkpoint_every)=")
SEED = re.compile(r" --seed[ =](\d+)(?= |$)")
ARCHITECTURE = re.compile(r"x86_64|AMD64|aarch64|arm64")


@dataclass(frozen=True)
class Provenance:
    """How one run was made.

    Attributes:
        command: what was typed, without what belongs to the machine; None if it was not recorded.
        code: the commit, or the release of an installed package.
        environment: versions and hardware, in one line.
        settings: of the learner, as canonical JSON; empty if not recorded.
        record: the whole file.
    """

    command: str | None = None
    code: str = NOT_RECORDED
    environment: str = NOT_RECORDED
    settings: str = ""
    record: dict[str, Any] = field(default_factory=dict)


def read_provenance(folder: Path) -> Provenance:
    """What the ``run.json`` of a run says; a run without one says nothing.

    Raises:
        UserError: the file is damaged.
    """
    record = read_json(RunFolder(folder).record)
    if record is None:
        return Provenance()
    command, environment = record.get("command"), record.get("environment")
    return Provenance(
        command=escaped(portable(command)) if isinstance(command, str) else None,
        code=escaped(_code(environment)) if isinstance(environment, dict) else NOT_RECORDED,
        environment=escaped(_environment(environment, record)) if isinstance(environment, dict) else NOT_RECORDED,
        settings=_settings(record.get("config")),
        record=record,
    )


def portable(command: str) -> str:
    """A command line without the folders and helpers of one machine; other absolute paths keep their last part.

    >>> portable("cvis run /home/me/my.toml --learner crisp --runs /big/runs --logger wandb --seeds 0,1")
    'cvis run my.toml --learner crisp --seeds 0,1'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # not a command line; shown as it is
        return command
    return shlex.join(map(shortened, _without_places(words)))


def joined(commands: Iterable[str]) -> tuple[str, ...]:
    """Each command once; those that differ in their ``--seed`` alone become one.

    >>> joined(["cvis run a --seed 0", "cvis run a --seed 1", "cvis run b", "cvis run b"])
    ('cvis run a --seeds 0,1', 'cvis run b')
    """
    seeds: dict[tuple[str, str], list[str]] = {}  # (before, behind) -> the seeds between
    for command in commands:
        before, seed, behind = [*SEED.split(command, maxsplit=1), "", ""][:3]
        own = seeds.setdefault((before, behind), [])
        own += [seed] if seed and seed not in own else []
    return tuple(
        f"{before} --seed{'s' if len(own) > 1 else ''} {','.join(own)}{behind}" if own else before
        for (before, behind), own in seeds.items()
    )


def _without_places(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in WHERE:
            if not equals:
                next(rest, None)
        elif name == "--set":
            setting = value if equals else next(rest, "")
            if not WHERE_KEYS.match(setting):
                yield from ("--set", setting)
        else:
            yield word


def shortened(word: str) -> str:
    """``/home/me/a.toml`` -> ``a.toml``; likewise behind an equals sign."""
    key, equals, value = word.rpartition("=")
    is_path = value.startswith(("/", "~/")) and len(value) > 1
    return key + equals + (PurePath(value).name if is_path else value)


def _settings(config: Any) -> str:
    """Without the learner's type: it may be the path of a file, which can be spelled in many ways."""
    learner = config.get("learner") if isinstance(config, dict) else None
    if not isinstance(learner, dict):
        return ""
    return json.dumps({key: value for key, value in learner.items() if key != "type"}, sort_keys=True)


def _code(environment: dict[str, Any]) -> str:
    git = environment.get("git")
    if not isinstance(git, dict) or not isinstance(git.get("commit"), str):
        return f"release {environment.get('cvis', '?')}"
    return git["commit"][:8] + (" with uncommitted changes" if git.get("modified") else "")


def _environment(environment: dict[str, Any], record: dict[str, Any]) -> str:
    packages = environment.get("packages")
    versions = (
        [f"{name} {version}" for name, version in packages.items() if version] if isinstance(packages, dict) else []
    )
    processes = record.get("processes", 1)
    return ", ".join(
        [
            f"Python {environment.get('python', '?')}",
            *versions,
            _machine(str(environment.get("platform", ""))),
            str(environment.get("gpu") or environment.get("device", "?")),
            f"{environment.get('threads', '?')} threads" if environment.get("threads") != 1 else "1 thread",
            *([f"{processes} processes"] if processes != 1 else []),
        ]
    )


def _machine(platform: str) -> str:
    """``Linux-6.1.0-generic-x86_64-with-glibc2.36`` -> ``Linux x86_64``: what can change a number."""
    architecture = ARCHITECTURE.search(platform)
    return " ".join([platform.partition("-")[0] or "?", *([architecture[0]] if architecture else [])])
