"""All commands in one place: each module defines its command, this one gives it its name."""

from __future__ import annotations

from typing import Annotated

import typer

from cvis import __version__
from cvis.cli import (
    compare,
    data,
    doctor,
    explain,
    export,
    learners,
    plot,
    predict,
    report,
    reproducibility,
    run,
    scenario,
    score,
    segmenters,
    steps,
    sweep,
    visualize,
)
from cvis.cli.guard import Guarded
from cvis.cli.output import examples

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
) -> None:
    """The benchmark suite for continual video instance segmentation."""


app.command("run", short_help="Run a learner through a stream of classes.", epilog=run.EXAMPLES)(run.run)
app.command("score", short_help="Score a results file, without a model.", epilog=score.EXAMPLES)(score.score)
app.command("explain", short_help="Say where AP is lost, and where forgotten AP went.", epilog=explain.EXAMPLES)(
    explain.explain
)
app.command("export", short_help="Write predictions as the servers take them.", epilog=export.EXAMPLES)(export.export)
app.command("compare", short_help="Compare finished runs in a table.", epilog=compare.EXAMPLES)(compare.compare)
app.command("steps", short_help="Follow finished runs along the stream, per class too.", epilog=steps.EXAMPLES)(
    steps.steps
)
app.command("plot", short_help="Draw figures of finished runs.", epilog=plot.EXAMPLES, cls=plot.ListsKinds)(plot.plot)
app.command("report", short_help="Write a page with all results.", epilog=report.EXAMPLES)(report.report)
app.command("visualize", short_help="Draw predictions on a test video.", epilog=visualize.EXAMPLES)(visualize.visualize)
app.command("predict", short_help="Run a trained model on your own videos.", epilog=predict.EXAMPLES)(predict.predict)
app.command("reproducibility", short_help="Say which cells runs verify, and how.", epilog=reproducibility.EXAMPLES)(
    reproducibility.reproducibility
)
app.command("sweep", short_help="Make the runs of one table, and print it.", epilog=sweep.EXAMPLES)(sweep.sweep)
app.add_typer(scenario.app, name="scenario")
app.add_typer(data.app, name="data")
app.command("learners", short_help="List learners, also those of other packages.", epilog=learners.EXAMPLES)(
    learners.learners
)
app.command("segmenters", short_help="List segmenters.", epilog=segmenters.EXAMPLES)(segmenters.segmenters)
app.command("doctor", short_help="Report what is installed and what is missing.", epilog=doctor.EXAMPLES)(doctor.doctor)
