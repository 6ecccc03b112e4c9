"""What stands in `hiddenpop.bayes.loglinear` now; this path answers with a warning until version 0.2.0."""

from hiddenpop._moved import moved

__getattr__ = moved(__name__, "hiddenpop.bayes.loglinear", until="0.2.0", STANDARD_PRIORS="SWEEP_PRIORS")
