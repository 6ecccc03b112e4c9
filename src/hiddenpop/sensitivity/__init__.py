"""What would have to be true for the answer to change: checks of an estimate, each with a table, a verdict and a figure."""

from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.protocol import Check, CheckResult

__all__ = ["Check", "CheckResult", "Claim"]
