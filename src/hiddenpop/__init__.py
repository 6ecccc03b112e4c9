"""Estimate the size of hidden populations from overlapping, incomplete registrations.

Examples
--------
>>> import hiddenpop as hp
>>> table = hp.datasets.load("kosovo")
>>> round(hp.estimate(table, "loglinear", model="[123,14,34]").n_hat)
10357
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hiddenpop import errors
from hiddenpop.parallel import (
    parallel,  # at once, else importing its module would put the module under this name
)

if TYPE_CHECKING:
    from hiddenpop import datasets as datasets
    from hiddenpop import monitor as monitor
    from hiddenpop import report as report
    from hiddenpop import runs as runs
    from hiddenpop import sensitivity as sensitivity
    from hiddenpop import synthetic as synthetic
    from hiddenpop import validation as validation
    from hiddenpop.bayes.averaged import BayesianModelAveraging
    from hiddenpop.bayes.decomposable import DecomposableAveraging
    from hiddenpop.bayes.identifying import IdentifiedPosterior
    from hiddenpop.bayes.latent_class import LatentClass
    from hiddenpop.bayes.loglinear import BayesianLogLinear
    from hiddenpop.bayes.pooled import PooledLogLinear
    from hiddenpop.bayes.thresholded import ThresholdedLogLinear
    from hiddenpop.description import TableDescription, describe
    from hiddenpop.estimators.averaged import AveragedLogLinear
    from hiddenpop.estimators.bootstrapped import Bootstrapped
    from hiddenpop.estimators.closed_population import ClosedPopulation
    from hiddenpop.estimators.compare import Comparison, compare, estimate, standard_panel
    from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
    from hiddenpop.estimators.loglinear import LogLinear
    from hiddenpop.estimators.lower_bound import ChaoLowerBound
    from hiddenpop.estimators.protocol import Estimator
    from hiddenpop.estimators.sample_coverage import SampleCoverage
    from hiddenpop.estimators.selected import SelectedLogLinear
    from hiddenpop.estimators.selected_covariates import SelectedCovariateLogLinear
    from hiddenpop.estimators.stratified import Stratified
    from hiddenpop.estimators.two_lists import Chapman, LincolnPetersen
    from hiddenpop.model import HierarchicalModel
    from hiddenpop.result import Diagnostic, Estimate, Interval
    from hiddenpop.table import CaptureTable, Coverage

__all__ = [
    "AveragedLogLinear",
    "BayesianLogLinear",
    "BayesianModelAveraging",
    "Bootstrapped",
    "CaptureTable",
    "ChaoLowerBound",
    "Chapman",
    "ClosedPopulation",
    "Comparison",
    "CovariateLogLinear",
    "Coverage",
    "DecomposableAveraging",
    "Diagnostic",
    "Estimate",
    "Estimator",
    "HierarchicalModel",
    "IdentifiedPosterior",
    "Interval",
    "LatentClass",
    "LincolnPetersen",
    "LogLinear",
    "PooledLogLinear",
    "SampleCoverage",
    "SelectedCovariateLogLinear",
    "SelectedLogLinear",
    "Stratified",
    "TableDescription",
    "ThresholdedLogLinear",
    "compare",
    "datasets",
    "describe",
    "errors",
    "estimate",
    "parallel",
    "standard_panel",
]

__version__ = "0.1.0"

# Tables bring pandas and estimators scipy; names are imported when first asked for, so that `hiddenpop --help` does
# not wait for what it does not use.
_HOMES = {
    "AveragedLogLinear": "hiddenpop.estimators.averaged",
    "BayesianLogLinear": "hiddenpop.bayes.loglinear",
    "BayesianModelAveraging": "hiddenpop.bayes.averaged",
    "Bootstrapped": "hiddenpop.estimators.bootstrapped",
    "CaptureTable": "hiddenpop.table",
    "ChaoLowerBound": "hiddenpop.estimators.lower_bound",
    "Chapman": "hiddenpop.estimators.two_lists",
    "ClosedPopulation": "hiddenpop.estimators.closed_population",
    "Comparison": "hiddenpop.estimators.compare",
    "CovariateLogLinear": "hiddenpop.estimators.covariate_loglinear",
    "Coverage": "hiddenpop.table",
    "DecomposableAveraging": "hiddenpop.bayes.decomposable",
    "Diagnostic": "hiddenpop.result",
    "Estimate": "hiddenpop.result",
    "Estimator": "hiddenpop.estimators.protocol",
    "HierarchicalModel": "hiddenpop.model",
    "IdentifiedPosterior": "hiddenpop.bayes.identifying",
    "Interval": "hiddenpop.result",
    "LatentClass": "hiddenpop.bayes.latent_class",
    "LincolnPetersen": "hiddenpop.estimators.two_lists",
    "LogLinear": "hiddenpop.estimators.loglinear",
    "PooledLogLinear": "hiddenpop.bayes.pooled",
    "SampleCoverage": "hiddenpop.estimators.sample_coverage",
    "SelectedCovariateLogLinear": "hiddenpop.estimators.selected_covariates",
    "SelectedLogLinear": "hiddenpop.estimators.selected",
    "Stratified": "hiddenpop.estimators.stratified",
    "TableDescription": "hiddenpop.description",
    "ThresholdedLogLinear": "hiddenpop.bayes.thresholded",
    "compare": "hiddenpop.estimators.compare",
    "describe": "hiddenpop.description",
    "estimate": "hiddenpop.estimators.compare",
    "standard_panel": "hiddenpop.estimators.compare",
}

_ROOMS = ("datasets", "monitor", "report", "runs", "sensitivity", "synthetic", "validation")


if not TYPE_CHECKING:  # a type checker that saw a `__getattr__` would take every name, misspelt or not

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"hiddenpop.{name}")
        if name not in _HOMES:
            raise AttributeError(_no_attribute(name), name=name, obj=sys.modules[__name__])
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def _no_attribute(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, __dir__(), n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"module 'hiddenpop' has no attribute {name!r}{meant}"


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
