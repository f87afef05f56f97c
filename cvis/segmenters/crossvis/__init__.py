"""CrossVIS: a one-stage detector whose filters for an object in one frame find it in another, and an online tracker."""

from cvis.segmenters.crossvis.model import CrossVIS

__all__ = ["CrossVIS"]
