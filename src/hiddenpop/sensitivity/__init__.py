"""What would have to be true for the answer to change: checks of an estimate, each with a table, a verdict, a figure.

Examples
--------
>>> import hiddenpop as hp
>>> report = hp.sensitivity.standard(hp.datasets.load("kosovo"), "loglinear", claim="more than 5,000", rng=1)
>>> report.table()["verdict"].value_counts().index.tolist()[0] in ("holds", "fails", "no verdict")
True
"""

from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.link_rates import LinkCorrection, corrected
from hiddenpop.sensitivity.protocol import Check, CheckResult
from hiddenpop.sensitivity.registry import CHECKS, build_check, standard_checks
from hiddenpop.sensitivity.standard_set import SensitivityReport, standard

__all__ = [
    "CHECKS",
    "Check",
    "CheckResult",
    "Claim",
    "LinkCorrection",
    "SensitivityReport",
    "build_check",
    "corrected",
    "standard",
    "standard_checks",
]
