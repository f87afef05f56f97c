"""The command line. Nothing heavy is imported here: ``cvis --help`` must answer at once."""

from cvis.cli.app import app


def main() -> None:
    """Entry point of the console script ``cvis``."""
    app(prog_name="cvis")


__all__ = ["app", "main"]
