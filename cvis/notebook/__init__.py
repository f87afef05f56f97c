"""What the commands do, as values for a notebook: ``cvis.run``, ``cvis.load_runs`` and ``cvis.predict``.

Importing this loads neither torch nor matplotlib; they come with the first call that needs them.
"""

from cvis.notebook.prediction import Prediction, predict
from cvis.notebook.results import Results, load_runs
from cvis.notebook.running import run
from cvis.notebook.shown import Shown

__all__ = ["Prediction", "Results", "Shown", "load_runs", "predict", "run"]
