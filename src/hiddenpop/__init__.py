"""Estimate the size of hidden populations from overlapping, incomplete registrations.

Examples
--------
>>> import hiddenpop as hp
>>> table = hp.datasets.load("kosovo")
>>> round(hp.estimate(table, "loglinear", model="[123,14,34]").n_hat)
10357
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hiddenpop import datasets, errors
from hiddenpop.model import HierarchicalModel
from hiddenpop.parallel import parallel
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.table import CaptureTable, Coverage

if TYPE_CHECKING:
    from hiddenpop import monitor as monitor
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

# Estimators bring compiled kernels; they are imported when first asked for, so that importing the package stays quick.
_HOMES = {
    "AveragedLogLinear": "hiddenpop.estimators.averaged",
    "BayesianLogLinear": "hiddenpop.bayes.loglinear",
    "BayesianModelAveraging": "hiddenpop.bayes.averaged",
    "Bootstrapped": "hiddenpop.estimators.bootstrapped",
    "ChaoLowerBound": "hiddenpop.estimators.lower_bound",
    "Chapman": "hiddenpop.estimators.two_lists",
    "ClosedPopulation": "hiddenpop.estimators.closed_population",
    "Comparison": "hiddenpop.estimators.compare",
    "CovariateLogLinear": "hiddenpop.estimators.covariate_loglinear",
    "DecomposableAveraging": "hiddenpop.bayes.decomposable",
    "Estimator": "hiddenpop.estimators.protocol",
    "IdentifiedPosterior": "hiddenpop.bayes.identifying",
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

_ROOMS = ("monitor", "report", "runs", "sensitivity", "synthetic", "validation")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"hiddenpop.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'hiddenpop' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
