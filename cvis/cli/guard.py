"""What a mistake looks like: one line on stderr and exit code 2; a traceback is a bug of ours."""

from __future__ import annotations

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from cvis.errors import UserError

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class Guarded(TyperGroup):
    """The root group: turns the exceptions a user can cause into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise _say(f"cvis: {error}", USER_ERROR) from error
        except KeyboardInterrupt as error:
            resumes = "; the same command resumes" if ctx.invoked_subcommand == "run" else ""
            raise _say(f"cvis: interrupted{resumes}", INTERRUPTED) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise _say(f"cvis: {where}the disk is full; free space and run the same command", USER_ERROR) from error


def _say(message: str, code: int) -> typer.Exit:
    typer.echo(" ".join(message.split()), err=True)
    return typer.Exit(code)
