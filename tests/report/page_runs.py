"""Runs for the result page: two streams, an upper bound, a random text encoder, a missing value."""

from __future__ import annotations

from pathlib import Path

from stream_runs import write_stream

RANDOM = {"model": "tiny", "pretrained": "random", "sha256": None}
HOSTILE = "<script>alert(1)</script>\"'"


def write_runs(root: Path) -> Path:
    """``synthetic-10-10`` with one learner, ``synthetic-20-4`` with four."""
    steps = {"mAP_all": (30.0, 20.0, 10.0), "AR1": (40.0, 30.0, 20.0), "trainable_params": (100, 10, 10)}
    write_stream(root, "finetune", scenario="synthetic-10-10", step_fields=steps, final={"plasticity": 1.0})
    for seed, (mAP, FR) in enumerate([(8.0, 30.0), (12.0, 40.0)]):
        write_stream(root, "finetune", seed, mAP=mAP, FR=FR, step_fields=steps, final={"plasticity": 25.0})
    write_stream(
        root,
        "combo",
        mAP=30.0,
        FR=9.0,
        step_fields=steps,
        final={"plasticity": 30.0},
        label="CoMBO (re-implementation from the paper)",
    )
    write_stream(root, "crisp", mAP=9.5, FR=None, step_fields=steps, text_encoder=RANDOM)
    whole = {c: (55.0,) for c in (3, 5, 7, 9)}
    write_stream(root, "joint", mAP=60.0, FR=None, ap=whole, step_fields={"mAP_all": (60.0,), "AR1": (70.0,)})
    return root


def make_page(runs: Path, out: Path, **options) -> Path:
    from cvis.report import load_runs
    from cvis.report.page.build import Options, write_page

    return write_page(load_runs([runs]), out, Options(**{"videos": 0, **options}))
