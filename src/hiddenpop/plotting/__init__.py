"""Figures: a table or an estimate and a matplotlib ``Axes`` in, the ``Axes`` out.

Without an ``ax`` a figure of a fitting size is made through pyplot, so that a notebook shows it. With one, only that
``ax`` is drawn on; give its figure ``layout="constrained"``, so that labels find room. No global setting of matplotlib
is touched. Figures of a table that is not public are drawn with ``protect=True`` before they leave, and `save_figure`
writes them whole or not at all.
"""

from hiddenpop.plotting.bootstrap import bootstrap_plot
from hiddenpop.plotting.calibration import calibration_plot
from hiddenpop.plotting.check import check_plot
from hiddenpop.plotting.check_page import check_page
from hiddenpop.plotting.coverage import coverage_plot
from hiddenpop.plotting.error_overlap import error_overlap_plot
from hiddenpop.plotting.files import save_figure
from hiddenpop.plotting.forest import forest_plot
from hiddenpop.plotting.landscape import landscape_plot
from hiddenpop.plotting.overlap import overlap_plot
from hiddenpop.plotting.posterior import rank_plot, trace_plot
from hiddenpop.plotting.predictive import predictive_plot
from hiddenpop.plotting.ranking import ranking_plot
from hiddenpop.plotting.residuals import residual_plot
from hiddenpop.plotting.subgroups import part_plot, subgroup_plot
from hiddenpop.plotting.trend import trend_plot
from hiddenpop.plotting.zip import zip_plot

__all__ = [
    "bootstrap_plot",
    "calibration_plot",
    "check_page",
    "check_plot",
    "coverage_plot",
    "error_overlap_plot",
    "forest_plot",
    "landscape_plot",
    "overlap_plot",
    "part_plot",
    "predictive_plot",
    "rank_plot",
    "ranking_plot",
    "residual_plot",
    "save_figure",
    "subgroup_plot",
    "trace_plot",
    "trend_plot",
    "zip_plot",
]
