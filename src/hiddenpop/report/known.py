"""What a report says of an estimator from its facts: what it takes for granted, what its interval holds."""

from hiddenpop.estimators.base import model_in_interval, read_facts
from hiddenpop.result import Estimate, EstimatorSpec

__all__ = ["FOR_ALL", "assumes", "draws_kind", "keeps_number_observed", "model_uncertainty"]

FOR_ALL = ("closed", "linked", "in_scope", "chance")
"""What every estimator takes for granted, by the keys of the catalogue."""


def assumes(spec: EstimatorSpec) -> tuple[str, ...]:
    """Name what an estimator takes for granted besides what all do, and what is inside it takes for granted.

    Examples
    --------
    >>> assumes(EstimatorSpec("somebody:Else", {}))
    ('unknown',)
    """
    return read_facts(spec).assumes


def draws_kind(estimate: Estimate) -> str:
    """Say whether an interval is credible, from a bootstrap, or a confidence interval."""
    return {"posterior": "credible", "bootstrap": "bootstrap"}.get(estimate.draws_are, "confidence")


def keeps_number_observed(spec: EstimatorSpec) -> bool:
    """Tell whether resamples hold as many persons as were observed, so that the variation of their number is left out.

    Examples
    --------
    >>> keeps_number_observed(EstimatorSpec("bootstrapped", {"scheme": "multinomial"}))
    True
    """
    return read_facts(spec).keeps_number_observed


def model_uncertainty(estimate: Estimate) -> str:
    """Say whether the interval knows that the model was chosen."""
    return f"model_{model_in_interval(estimate)}"
