"""What stands in `hiddenpop.estimators.covariate_outcome` now; this path answers with a warning until version 0.2.0."""

from hiddenpop._moved import moved

__getattr__ = moved(__name__, "hiddenpop.estimators.covariate_outcome", until="0.2.0")
