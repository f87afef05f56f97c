"""What a check is: a function of the thing under test that returns, or raises a sentence with the remedy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from cvis.blame import frames_of_author, sentence
from cvis.errors import UserError
from cvis.plugins import Plugins

Check = Callable[[Any], None]
"""Its name is what reports call it, the first paragraph of its docstring what it holds and why."""


class Failed(AssertionError):
    """One sentence for each failure, with the remedy."""


class NotApplicable(Exception):
    """Why a check says nothing of this learner or segmenter."""


@dataclass(frozen=True)
class Outcome:
    """What a check says."""

    check: str
    status: Literal["passed", "failed", "not applicable"]
    says: str = ""


def outcome(check: Check, subject: Any) -> Outcome:
    """Run one check of a learner's :class:`~cvis.testing.trial.Trial` or a segmenter's specimen."""
    try:
        check(subject)
    except Failed as error:
        return Outcome(title(check), "failed", " ".join(str(error).split()))
    except NotApplicable as error:
        return Outcome(title(check), "not applicable", str(error))
    except Exception as error:  # an author's code may fail in any way, here where an undisturbed run does not
        remedy = "see docs/checks.md for what is done to it here"
        return Outcome(title(check), "failed", f"raises {said(error, subject.authors)}; {remedy}")
    return Outcome(title(check), "passed")


def said(error: Exception, authors: Collection[str] = ()) -> str:
    """An exception in one line, with the author's line if it is her code's; ``authors``: whose packages are hers."""
    frames = frames_of_author(error, authors)
    if frames:
        return sentence(error, frames)
    return " ".join((str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}").split())


def require(outcomes: Iterable[Outcome]) -> None:
    """All checks, then one exception for what failed.

    Raises:
        Failed: a line for each failed check.
    """
    failures = [f"{each.check}: {each.says}" for each in outcomes if each.status == "failed"]
    if failures:
        raise Failed("\n".join(failures))


def title(check: Check) -> str:
    """
    >>> title(outcome)
    'outcome'
    """
    return check.__name__.strip("_").replace("_", " ")


def described(checks: Sequence[Check]) -> list[tuple[str, str]]:
    """Name of each check, and what it holds."""
    first = ((inspect.getdoc(check) or "").split("\n\n")[0] for check in checks)
    return [
        (title(check), " ".join(holds.split()).replace("``", "`")) for check, holds in zip(checks, first, strict=True)
    ]


@contextmanager
def named(plugins: Plugins, given: type | str) -> Iterator[str]:
    """The name under which a run finds a class, or what was named already.

    Raises:
        UserError: it is no class of that kind.
    """
    if isinstance(given, str):
        yield given
        return
    kind = plugins.check(given, getattr(given, "__name__", repr(given)))
    names = plugins.names()
    registered = plugins.registry.module_dict
    known = [name for name in names if plugins.find(name) is kind]
    name = known[0] if known else kind.__name__ + "_" * (kind.__name__ in names)
    if not known:
        registered[name] = kind
    try:
        yield name
    finally:
        if not known:
            del registered[name]


def listed(names: Iterable[str], limit: int = 4) -> str:
    """
    >>> listed("abcdef")
    "'a', 'b', 'c', 'd' and 2 more"
    """
    every = list(names)
    text = ", ".join(map(repr, every[:limit]))
    return text if len(every) <= limit else f"{text} and {len(every) - limit} more"
