"""The metrics of a run that tables are made of."""

from __future__ import annotations

from typing import Literal

COLUMNS: dict[str, tuple[str, Literal["higher", "lower"]]] = {
    "mAP": ("mAP", "higher"),
    "mAP_base": ("mAP base", "higher"),
    "mAP_old": ("mAP old", "higher"),
    "mAP_new": ("mAP new", "higher"),
    "AP50": ("AP50", "higher"),
    "AP75": ("AP75", "higher"),
    "AR1": ("AR1", "higher"),
    "AR10": ("AR10", "higher"),
    "FR": ("FR", "lower"),
    "FR_normalized": ("FR norm", "lower"),
    "forgetting": ("forgetting", "lower"),
    "bwt": ("BWT", "higher"),
    "avg_incremental_mAP": ("avg inc mAP", "higher"),
}
"""Metric of metrics.json -> heading, and which direction is better. The columns of the table, in order."""

METRICS: dict[str, tuple[str, Literal["higher", "lower"]]] = {
    **COLUMNS,
    "avg_incremental_mAP_without_base": ("avg inc mAP no base", "higher"),
    "plasticity": ("plasticity", "higher"),
    "relative_drop": ("rel drop", "lower"),
    "n_never_learned": ("never learned", "lower"),
}
"""Every metric that a table can be asked for. Those behind the columns would only widen it by default."""

STEP_METRICS: tuple[str, ...] = ("mAP_all", "mAP_seen", "mAP_base", "mAP_old", "mAP_new")
STEP_METRICS += ("AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10")
