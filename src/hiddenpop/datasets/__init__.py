"""Published tables of overlapping registrations, each with its source and the figures known for it."""

from hiddenpop.datasets.records import DataSet, PublishedFigure, Variable, catalogue, info
from hiddenpop.datasets.tables import load, load_counts

__all__ = ["DataSet", "PublishedFigure", "Variable", "catalogue", "info", "load", "load_counts"]
