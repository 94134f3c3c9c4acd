"""What `import dlx` offers: run, resume, sweep, check, load, compare, predict, plot, and the Run that they return."""

from dlx.api.comparison import Comparison, compare
from dlx.api.result import Run, load, plot, predict
from dlx.api.training import check, resume, run, sweep

__all__ = ["Comparison", "Run", "check", "compare", "load", "plot", "predict", "resume", "run", "sweep"]
