"""What is asked of estimators that are written down: how they came by their model, and whether they bound."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.base import Facts, ModelIs, contract
from hiddenpop.estimators.registry import build, is_registered
from hiddenpop.result import Estimate, EstimatorSpec
from hiddenpop.table import CaptureTable, RNGLike

__all__ = [
    "as_spec",
    "estimates_below",
    "inner_spec",
    "interval_kind",
    "is_bound",
    "model_in_interval",
    "model_is",
    "read_facts",
]


def inner_spec(spec: EstimatorSpec) -> list[tuple[str, EstimatorSpec]]:
    """List the estimators inside an estimator, with the setting that holds each."""
    found = []
    for key, value in spec.settings.items():
        inner = as_spec(value)
        if inner is not None:
            found.append((key, inner))
    return found


def as_spec(value: Any) -> EstimatorSpec | None:
    """Read an estimator that stands in a setting; None for anything else."""
    if isinstance(value, EstimatorSpec):
        return value
    if isinstance(value, Mapping) and set(value) == {"name", "settings"}:
        name, settings = value["name"], value["settings"]
        if isinstance(settings, Mapping) and isinstance(name, str):
            return EstimatorSpec(name, settings)
    return None


def read_facts(spec: EstimatorSpec) -> Facts:
    """Give the facts of an estimator that is written down, as those of a result read from a file.

    A registered one is made again and asked. Of another one nothing is imported, and nothing claimed.

    Examples
    --------
    >>> inside = EstimatorSpec("bootstrapped", {"base": {"name": "selected", "settings": {}}})
    >>> read_facts(inside).model_is, read_facts(EstimatorSpec("somebody:Else", {})).assumes
    ('repeated', ('unknown',))
    """
    return contract(_made(spec)).facts


@dataclass(frozen=True, slots=True)
class _Unknown:
    """Stands where an estimator cannot be made again."""

    name: str

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        raise NotImplementedError


def _made(spec: EstimatorSpec) -> Any:
    if not is_registered(spec.name):
        return _Unknown(str(spec.name))
    inside = {key: _made(inner) for key, inner in inner_spec(spec)}
    try:
        return build(spec.name, {**spec.settings, **inside})
    except HiddenpopError:  # written by a version with other settings
        return _Unknown(spec.name)


def is_bound(spec: EstimatorSpec) -> bool:
    """Tell whether an estimator is meant as a lower bound.

    Examples
    --------
    >>> is_bound(EstimatorSpec("chao", {})), is_bound(EstimatorSpec("loglinear", {}))
    (True, False)
    """
    return read_facts(spec).is_bound


def model_is(spec: EstimatorSpec) -> ModelIs:
    """Say whether the model of an estimator is given, chosen, averaged, or chosen anew in every resample.

    Returns
    -------
    {"given", "chosen", "averaged", "repeated", "unknown"}

    Examples
    --------
    >>> chosen = EstimatorSpec("selected", {})
    >>> by_stratum = EstimatorSpec("stratified", {"base": chosen})
    >>> [model_is(spec) for spec in (chosen, by_stratum, EstimatorSpec("bootstrapped", {"base": by_stratum}))]
    ['chosen', 'chosen', 'repeated']
    """
    return read_facts(spec).model_is


def interval_kind(estimate: Estimate) -> str:
    """Say in a word what an interval holds of the uncertainty about the model.

    Returns
    -------
    {"bound", "posterior", "given", "chosen", "averaged", "repeated", "unknown"}
        The last for an estimator of one's own that does not tell.
    """
    if is_bound(estimate.estimator):
        return "bound"
    if estimate.draws_are == "posterior":
        return "posterior"
    return model_in_interval(estimate)


def model_in_interval(estimate: Estimate) -> ModelIs:
    """Say as `model_is` what an interval knows of the model; without resamples that of the base stands.

    Returns
    -------
    {"given", "chosen", "averaged", "repeated", "unknown"}
    """
    spec = estimate.estimator
    kind = model_is(spec)
    if kind == "repeated" and estimate.draws_are != "bootstrap":
        kind = model_is(next((inner for _, inner in inner_spec(spec)), spec))
    return kind


def estimates_below(estimates: Mapping[str, Estimate]) -> dict[str, list[str]]:
    """Name the estimates below the lower limit of each lower bound, which they disagree with; by label.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        By label.
    """
    bounds = {
        label: e.interval.low
        for label, e in estimates.items()
        if is_bound(e.estimator) and math.isfinite(e.n_hat)
    }
    found = {
        bound: [label for label, e in estimates.items() if label not in bounds and e.n_hat < low]
        for bound, low in bounds.items()
    }
    return {bound: labels for bound, labels in found.items() if labels}
