"""A classifier in closed form on features that never change: it cannot forget, whatever the order of the steps."""

from cvis.learners.analytic.head import AnalyticHead, Candidates, Classifier
from cvis.learners.analytic.outlines import Outlines
from cvis.learners.analytic.switch import AnalyticSwitch

__all__ = ["AnalyticHead", "AnalyticSwitch", "Candidates", "Classifier", "Outlines"]
