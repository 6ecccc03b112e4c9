"""What is known of estimators and not written in an estimate: what they take for granted, what their intervals hold."""

from collections.abc import Mapping
from typing import Any

from hiddenpop.result import Estimate, EstimatorSpec

__all__ = ["ASSUMES", "FOR_ALL", "assumes", "draws_kind", "inner_spec", "is_bound", "model_uncertainty"]

FOR_ALL = ("closed", "linked", "in_scope", "chance")
"""What every estimator takes for granted, by the keys of the catalogue."""

ASSUMES: dict[str, tuple[str, ...]] = {
    "loglinear": ("homogeneous", "given_model", "no_highest_order", "large_sample"),
    "selected": ("homogeneous", "one_of_models", "no_highest_order", "choice_as_known", "large_sample"),
    "averaged": ("homogeneous", "one_of_models", "no_highest_order", "criterion_weights", "large_sample"),
    "lincoln_petersen": ("two_independent", "equal_chance_one", "large_sample"),
    "chapman": ("two_independent", "equal_chance_one", "large_sample"),
    "chao": ("common_propensity", "lower_bound", "large_sample"),
    "bootstrapped": ("as_inside", "many_resamples"),
    "closed_population": ("capture_law", "no_dependence", "large_sample"),
    "covariate_loglinear": ("given_formula", "covariates_known", "no_highest_order", "large_sample"),
    "covariate_selected": ("one_of_formulas", "covariates_known", "no_highest_order", "choice_as_known"),
    "stratified": ("as_inside_strata", "covariates_known", "strata_apart"),
    "pooled": ("places_alike", "no_highest_order", "priors", "chains"),
    "decomposable": ("homogeneous", "decomposable_graph", "no_highest_order", "priors"),
    "identified": ("stated_assumption", "priors"),
    "latent_class": ("classes", "independent_in_class", "priors", "chains"),
    "bayesian_loglinear": ("homogeneous", "interactions_small", "no_highest_order", "priors", "chains"),
    "bayesian_averaged": ("homogeneous", "one_of_models", "no_highest_order", "priors"),
    "thresholded": ("homogeneous", "no_highest_order", "choice_as_known", "priors", "chains"),
    "sample_coverage": ("coverage_of_pairs", "equal_chance_coverage", "large_sample"),
}
"""What each estimator takes for granted besides."""

MODEL_IS = {
    "selected": "chosen",
    "covariate_selected": "chosen",
    "thresholded": "chosen",
    "averaged": "averaged",
    "bayesian_averaged": "averaged",
    "decomposable": "averaged",
    "bootstrapped": "repeated",
}


def assumes(spec: EstimatorSpec) -> tuple[str, ...]:
    """Name what an estimator takes for granted besides what all do, and what is inside it takes for granted.

    Examples
    --------
    >>> assumes(EstimatorSpec("somebody:Else", {}))
    ('unknown',)
    """
    own = ASSUMES.get(spec.name, ("unknown",))
    inside = [name for _, inner in inner_spec(spec) for name in assumes(inner)]
    return tuple(dict.fromkeys([*own, *inside]))


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
        return EstimatorSpec(value["name"], value["settings"])
    return None


def is_bound(spec: EstimatorSpec) -> bool:
    """Tell whether an estimator is meant as a lower bound.

    Examples
    --------
    >>> is_bound(EstimatorSpec("chao", {})), is_bound(EstimatorSpec("loglinear", {}))
    (True, False)
    """
    if spec.name == "closed_population":
        varies = spec.settings.get("model", "Mth") in ("Mh", "Mth")
        return varies and spec.settings.get("heterogeneity") in (None, "chao")
    return spec.name == "chao" or any(is_bound(inner) for _, inner in inner_spec(spec))


def draws_kind(estimate: Estimate) -> str:
    """Say whether an interval is credible, from a bootstrap, or a confidence interval."""
    return {"posterior": "credible", "bootstrap": "bootstrap"}.get(estimate.draws_are, "confidence")


def model_uncertainty(estimate: Estimate) -> str:
    """Say whether the interval knows that the model was chosen."""
    spec = estimate.estimator
    if spec.name == "stratified":
        inside = [inner for _, inner in inner_spec(spec)]
        spec = inside[0] if inside else spec
    kind = MODEL_IS.get(spec.name, "given")
    if kind == "repeated":
        chosen = [MODEL_IS.get(inner.name, "given") for _, inner in inner_spec(spec)]
        kind = "repeated" if "given" not in chosen else "given"
    return f"model_{kind}"
