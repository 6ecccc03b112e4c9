"""`PriorSensitivity`: the answer of a Bayesian estimator under other priors that a reader could hold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import Change, contract, read_facts
from hiddenpop.estimators.protocol import Estimator, as_number, spec_of
from hiddenpop.result import Estimate, EstimatorSpec, format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.points import ANSWER, Point, answer_of, evaluate, has_number
from hiddenpop.sensitivity.protocol import CheckContext, Found, StandardCheck, figure_of, judge, with_settings
from hiddenpop.table import CaptureTable

__all__ = ["PriorSensitivity", "standard_priors"]

AS_FITTED, BY_POWER, BY_REFIT = "as fitted", "power", "refit"
NOT_REACHED = (
    "the draws do not reach this prior (the weights have too long a tail); fit the model under it to know"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorSensitivity(StandardCheck):
    """How far N moves with the prior of a Bayesian estimator.

    Parameters
    ----------
    priors : sequence of mapping, optional
        Settings that make other priors, such as ``({"odds_ratio": 3.0}, {"odds_ratio": 100.0})``; by default those that
        the estimator itself names, see `standard_priors`.
    powers : sequence of float
        Powers to which the prior is raised, from the draws of the estimate alone, where it holds log prior and log
        likelihood; below 1 the prior counts less. Empty for none.
    claim : str or Claim, optional
        Such as "more than 10,000"; without one, that N stays within the interval of the estimate.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    How to report it. Give the estimate under the prior chosen before the data were seen. Beside it give the lowest and
    the highest median over all priors that a reader could hold, with the lowest lower and the highest upper limit. Do
    not choose the prior by the answer, and do not average over the rows: they are no sample from anything. If the
    medians lie further apart than half of the width of the interval, the data do not decide between the priors.

    Raising to a power reweights draws. Where they do not reach, the row has no number, and counts as failed; a refit
    under a wider or narrower prior tells. That N hardly moves says something only of the priors that were tried.

    References
    ----------
    Kallioinen, N., Paananen, T., Bürkner, P.-C. and Vehtari, A. (2024). Detecting and diagnosing prior and likelihood
    sensitivity with power-scaling. Statistics and Computing 34, 57. doi:10.1007/s11222-023-10366-5

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.bayes.identifying import IdentifiedPosterior
    >>> result = PriorSensitivity(claim="more than 8,000").run(IdentifiedPosterior(), hp.datasets.load("kosovo"), rng=1)
    >>> result.passed, result.table["prior"].tolist()
    (True, ['as fitted', 'prior_count=1/cells', 'prior_count=0.25', 'prior_count=1.0'])
    """

    name: ClassVar[str] = "prior"

    priors: tuple[Change, ...] | None = None
    powers: tuple[float, ...] = (0.5, 1.0, 2.0)
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "priors", _checked_priors(self.priors))
        object.__setattr__(self, "powers", _checked_powers(self.powers))
        as_claim(self.claim)

    def _find(self, asked: CheckContext) -> Found | str:
        estimator = asked.estimator
        others = contract(estimator).facts.other_priors
        if others == ():
            return _has_none(estimator)
        points = self._points(estimator, asked.table, others or ())
        try:
            base = asked.base()
            if base.draws_are != "posterior" and others is None:
                return _has_none(estimator)
            refitted = evaluate(points, seed=asked.seed, label=self.name)
        except CapabilityError as error:
            return f"does not apply: {error}"
        powers, diagnosis = _by_power(base, self.powers)
        frame = _frame(base, powers, refitted)
        claim = claim_or_interval(self.claim, base)
        verdict = judge(frame, claim, points="priors")
        return Found.judged(
            verdict,
            table=frame,
            text=f"{verdict.text}{_range_in_words(base, frame)}{diagnosis}",
            figure=figure_of("forest", "N under other priors", base, claim, label="prior", truth=""),
        )

    def _points(self, estimator: Estimator, table: CaptureTable, standard: tuple[Change, ...]) -> list[Point]:
        """Give every other prior once."""
        made: dict[str, Any] = {}
        for change in standard if self.priors is None else self.priors:
            other = with_settings(estimator, **dict(change))
            if other != estimator:
                made.setdefault(_in_words(change), other)
        return [Point({"prior": words, "kind": BY_REFIT}, other, table) for words, other in made.items()]


def _frame(base: Estimate, powers: list[dict[str, Any]], refitted: pd.DataFrame) -> pd.DataFrame:
    """Put the estimate first, then the powers, then the refits."""
    first = {"prior": AS_FITTED, "kind": AS_FITTED, **dict(zip(ANSWER, answer_of(base), strict=True))}
    rows = [first, *powers, *refitted.to_dict("records")]
    return pd.DataFrame(rows, columns=["prior", "kind", *ANSWER])


def standard_priors(name: str) -> tuple[Change, ...]:
    """Give the priors that are compared for an estimator when none are named.

    Parameters
    ----------
    name : str
        Of a registered estimator; for any other there are none.

    Returns
    -------
    tuple of tuple of (str, object)

    Examples
    --------
    >>> standard_priors("thresholded")[0]
    (('prior_variance', 0.25),)
    """
    return read_facts(EstimatorSpec(name, {})).other_priors or ()


def _has_none(estimator: Estimator) -> str:
    return f"does not apply: {spec_of(estimator).name} has no prior"


# --- the prior raised to powers ---------------------------------------------------------------------------------------


def _by_power(base: Estimate, powers: tuple[float, ...]) -> tuple[list[dict[str, Any]], str]:
    """Rows of the prior raised to powers, and what power-scaling says; nothing where an estimate cannot tell."""
    from hiddenpop.bayes.sensitivity import prior_sensitivity, sensitivity_range

    others = [power for power in powers if power != 1.0]
    groups: Any = getattr(base.idata, "groups", tuple)()
    if not others or not {"log_prior", "log_likelihood"} <= set(groups):
        return [], ""
    found = sensitivity_range(base, others)
    rows = [_power_row(row, base) for row in found.to_dict("records")]
    return rows, f" Raised to a power near 1, {prior_sensitivity(base)['diagnosis'].iloc[0]}."


def _power_row(found: Mapping[Any, Any], base: Estimate) -> dict[str, Any]:
    labels = {"prior": f"prior to the power {found['power']:g}", "kind": BY_POWER}
    reached = bool(found["reliable"]) and base.status in ("ok", "boundary")
    figures = (found["median"], found["low"], found["high"]) if reached else (math.nan,) * 3
    why = "" if reached else NOT_REACHED if base.status in ("ok", "boundary") else base.reason
    answer = (*figures, base.n_observed, "ok" if reached else "not_converged", why, "")
    return {**labels, **dict(zip(ANSWER, answer, strict=True))}


# --- in words ---------------------------------------------------------------------------------------------------------


def _range_in_words(base: Estimate, frame: pd.DataFrame) -> str:
    """Give the estimate, the range of the medians under other priors, and whether the data decide between them."""
    others = frame[has_number(frame) & (frame["kind"] != AS_FITTED)]
    if others.empty or not math.isfinite(base.n_hat):
        return ""
    width = base.interval.width
    known = frame[has_number(frame)]
    figures = (others["n_hat"].min(), others["n_hat"].max(), known["low"].min(), known["high"].max())
    least, most, low, high = (format_persons(float(n), width, base.n_observed) for n in figures)
    own, limits = base.in_words()
    text = (
        f" {own} ({limits}) under the prior of the estimate; medians between {least} and {most} under other priors, "
        f"limits from {low} to {high}."
    )
    if float(np.ptp(known["n_hat"])) > width / 2.0:
        return (
            f"{text} The medians lie further apart than half of the width of its interval: the data do not decide "
            f"between the priors."
        )
    return text


def _in_words(change: Change) -> str:
    return ", ".join(f"{name}={value}" for name, value in change)


# --- settings ---------------------------------------------------------------------------------------------------------


def _checked_priors(given: Any) -> tuple[Change, ...] | None:
    if given is None:
        return None
    if isinstance(given, str | Mapping):
        given = (given,)
    return tuple(_checked_change(change) for change in given)


def _checked_change(change: Any) -> Change:
    pairs = tuple(change.items()) if isinstance(change, Mapping) else change
    whole = isinstance(pairs, tuple | list) and all(
        isinstance(p, tuple | list) and len(p) == 2 for p in pairs
    )
    if not whole or not pairs or not all(isinstance(name, str) for name, _ in pairs):
        raise SettingError(f'priors: {change!r} must name settings and values, e.g. {{"odds_ratio": 3.0}}')
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in pairs)


def _checked_powers(given: Any) -> tuple[float, ...]:
    values = (given,) if isinstance(given, int | float | str) else tuple(given)
    for value in values:
        if not 0.0 < as_number(value) < math.inf:
            raise SettingError(f"powers: {value!r} must be a number above 0, 1 for the prior as it is")
    return tuple(sorted({float(value) for value in values}))
