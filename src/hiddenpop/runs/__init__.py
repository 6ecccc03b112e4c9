"""An analysis as a file: `read_plan` judges it, `run` carries it out, `reproduce` does it again and compares."""

from hiddenpop.runs.plan import Plan, read_plan
from hiddenpop.runs.reproduce import Reproduction, reproduce
from hiddenpop.runs.run import Run, run

__all__ = ["Plan", "Reproduction", "Run", "read_plan", "reproduce", "run"]
