"""All commands in one place, and what a mistake looks like: one line on stderr and exit code 2.

Each module defines the command that it is named after, and its ``EXAMPLES``. A traceback is a bug of ours, unless the
fault is in the code of a plugin: its author is shown her own lines. With ``--debug`` everything has its traceback.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from cvis import __version__
from cvis.cli.output import examples
from cvis.errors import Stopped, UserError, printable

PLUGIN_ERROR = 1
USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
COMMANDS = {
    "run": "Run a learner through a stream of classes.",
    "score": "Score a results file, without a model.",
    "explain": "Say where AP is lost, and where forgotten AP went.",
    "verify": "Check that a run's numbers are those of its predictions.",
    "export": "Write predictions as the servers take them.",
    "bundle": "Put finished runs into one file to send.",
    "compare": "Compare finished runs in a table.",
    "steps": "Follow finished runs along the stream, per class too.",
    "plot": "Draw figures of finished runs.",
    "report": "Write a page with all results.",
    "visualize": "Draw predictions on a test video.",
    "predict": "Run a trained model on your own videos.",
    "predict-test": "Predict a step's test again, in shards too.",
    "reproducibility": "Say which cells runs verify, and how.",
    "sweep": "Make the runs of one table, and print it.",
    "matrix": "Run every learner with every segmenter, in a table.",
    "check-learner": "Check that a learner keeps its contract.",
    "check-segmenter": "Check that a segmenter keeps its contract.",
    "doctor": "Report what is installed and what is missing.",
}
GROUPS = ("learners", "segmenters", "scenario", "data")


class Commands(Mapping[str, Any]):
    """The commands by name. One is imported when it is asked for, so that none waits for the imports of another."""

    def __getitem__(self, name: str) -> Any:
        if name not in (*COMMANDS, *GROUPS):
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        yield from (*COMMANDS, *GROUPS)

    def __len__(self) -> int:
        return len(COMMANDS) + len(GROUPS)


@cache
def _load(name: str) -> Any:
    word = name.replace("-", "_")
    module = import_module(f"cvis.cli.{word}")
    if name in GROUPS:
        command: Any = get_group(module.app)
    else:
        made = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
        cls = getattr(module, "COMMAND_CLASS", None)
        made.command(name, cls=cls, short_help=COMMANDS[name], epilog=module.EXAMPLES)(getattr(module, word))
        command = get_command(made)
    command.name = name
    return command


class Guarded(TyperGroup):
    """The root group: turns the exceptions a user can cause into one line and an exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, Commands())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--debug`` may stand behind the command too, where one adds it after a failure."""
        return super().parse_args(ctx, sorted(args, key=lambda word: word != "--debug"))

    def invoke(self, ctx: Any) -> Any:
        try:
            return self._invoke(ctx)
        except Exception as error:
            from cvis.blame import excerpt, frames_of_author, sentence

            frames = [] if ctx.params["debug"] else frames_of_author(error)
            if not frames:
                raise
            typer.echo(
                f"Traceback of the plugin's own code (--debug shows all):\n{excerpt(frames)}", err=True, nl=False
            )
            raise _say(f"cvis: {sentence(error, frames)}; the fault is in this file", PLUGIN_ERROR) from error

    def _invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            if ctx.params["debug"]:
                import traceback

                traceback.print_exc()
            raise _say(f"cvis: {error}", USER_ERROR) from error
        except Stopped as error:
            raise _say(f"cvis: {error}; the same command goes on from there", 128 + error.signum) from error
        except KeyboardInterrupt as error:
            resumes = "; the same command resumes" if ctx.invoked_subcommand == "run" else ""
            raise _say(f"cvis: interrupted{resumes}", INTERRUPTED) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise _say(f"cvis: {where}the disk is full; free space and run the same command", USER_ERROR) from error


def _say(message: str, code: int) -> typer.Exit:
    typer.echo(printable(message), err=True)
    return typer.Exit(code)


app = typer.Typer(
    name="cvis",
    cls=Guarded,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=examples(
        "cvis run synthetic-20-4 --learner finetune",
        "cvis compare runs",
        "cvis COMMAND --help",
    ),
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"cvis {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="CVIS_DEBUG", help="Show the traceback of every error.")
    ] = False,
) -> None:
    """The benchmark suite for continual video instance segmentation."""
