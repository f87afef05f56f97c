"""Figures of finished runs: a module that declares a ``PLOT`` is a kind of figure, the others are what kinds share."""
