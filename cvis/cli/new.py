"""``new``: a package of one's own, made of a template that is itself a package, by giving it other names."""

from __future__ import annotations

import ast
import re
import tempfile
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

from cvis.errors import UserError

if TYPE_CHECKING:
    from cvis.plugins import Plugins

TEMPLATE_NAMES = {"learner": "my_method", "segmenter": "my_model"}
RESERVED = ("list", "new")
"""What ``cvis learners`` and ``cvis segmenters`` take for a command."""


class ListsByDefault(TyperGroup):
    """A group whose ``list`` need not be said: ``cvis learners crisp`` is ``cvis learners list crisp``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {*self.commands, *self.get_help_option_names(ctx)}
        unsaid = args[0] not in own if args else not ctx.resilient_parsing  # resilient: a shell completes the commands
        return super().parse_args(ctx, ["list", *args] if unsaid else args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The commands, and what may follow the one that need not be said."""
        listing = self.commands["list"]
        with listing.make_context("list", [], parent=ctx, resilient_parsing=True) as own:
            offered = listing.params[0].shell_complete(own, incomplete) + listing.shell_complete(own, incomplete)
        return [*super().shell_complete(ctx, incomplete), *(item for item in offered if item.value != "--help")]


def write_package(kinds: Plugins[Any], name: str, out: Path | None = None) -> Path:
    """Write a package that offers one class; nothing is left behind if it cannot be finished.

    Args:
        kinds: learners or segmenters.
        out: the folder to make; None: ``name`` in the current one.

    Raises:
        UserError: the name cannot be had, or the folder cannot be made.
    """
    from cvis.files import shipped

    template = shipped("templates") / kinds.kind
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(template.iterdir()) if path.is_file()}
    own = TEMPLATE_NAMES[kinds.kind]
    _refuse_name(kinds, name, texts[f"{own}.py"])
    replaced = {spell(own): spell(name) for spell in (str, _class_name, _package_name, _words)}
    folder = Path(name) if out is None else out.expanduser()
    if folder.exists():
        raise UserError(f"{folder}: exists already; remove it, or give another folder with --out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            whole = Path(temporary) / "whole"
            whole.mkdir()
            for file, text in texts.items():
                (whole / file.replace(own, name)).write_text(_with(replaced, text), encoding="utf-8")
            whole.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; choose another folder with --out") from error
    return folder


def _refuse_name(kinds: Plugins[Any], name: str, template: str) -> None:
    where = f"{kinds.kind}: {name!r}"
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UserError(f"{where}: is no name; begin with a lower-case letter, go on with such, digits and _")
    imports = [node for node in ast.parse(template).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports for alias in node.names}  # a class of this name would hide one
    if iskeyword(name) or name in RESERVED or iskeyword(_class_name(name)) or _class_name(name) in names:
        raise UserError(f"{where}: is a reserved word; choose another name")
    if name in {*kinds.names(), *kinds.taken()}:
        raise UserError(f"{where}: exists already, in package {kinds.origin(name).package}; choose another name")
    if find_spec(name) is not None:
        raise UserError(f"{where}: is a module that Python finds already; choose another name")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _package_name(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _words(name: str) -> str:
    return name.strip("_").replace("_", " ").capitalize()


def _with(replaced: dict[str, str], text: str) -> str:
    """All at once: what was put in is not replaced again."""
    return re.sub("|".join(map(re.escape, replaced)), lambda found: replaced[found[0]], text)
