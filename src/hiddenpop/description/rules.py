"""The rules by which a table carries, barely carries or does not carry an estimate, in one plain table."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["RULES", "Figures", "Finding", "Rule", "Verdict", "findings_of", "sentence_of", "verdict_of"]

Verdict = Literal["carries", "barely carries", "does not carry"]
Withheld = frozenset[str]

TWICE_AT_LEAST = 10
"""A dark figure has a relative standard error of at least about 1/sqrt(persons seen twice): above 30 % below 10."""

TWICE_ENOUGH = 50
"""With 50 persons seen twice the ends of a 95 % interval, the model being right, still differ by a factor 1.7."""

EMPTY_SHARE = 0.25
"""With a quarter of the overlaps empty much of the answer rests on zeros, which many models fit equally well."""

COVERAGE_ENOUGH = 0.55
"""At or below it Chao & Tsay (1998) advise against their general sample coverage estimator."""

DISAGREEMENT = 1.5
"""The choice of model then matters as much as sampling error does with 100 persons seen twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the rules look at.

    Attributes
    ----------
    n_lists : int
        Lists that caught somebody.
    n_twice : int
        Persons on two or more lists.
    empty_share : float
        Share of the pairs of lists that have nobody in common.
    coverage : float
        Sample coverage.
    n_models, n_finite : int
        Models tried, and those with a finite answer.
    independence_finite : bool
        Whether the independence model has a finite answer.
    spread_ratio : float
        Largest over smallest dark figure among the models close to the best by BIC; 1 without any.
    criteria_ratio : float
        Larger over smaller dark figure of the best models by BIC and by AIC; 1 without any.
    n_better : int
        Models better by BIC or AIC than every model with a finite answer, that have none themselves.
    """

    n_lists: int
    n_twice: int
    empty_share: float
    coverage: float
    n_models: int
    n_finite: int
    independence_finite: bool
    spread_ratio: float
    criteria_ratio: float
    n_better: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a figure, a threshold, and what is said when the figure is on the wrong side of it.

    Attributes
    ----------
    name : str
    verdict : {"does not carry", "barely carries"}
    figure : str
        A field of `Figures`.
    wrong : callable
        Compares figure and threshold.
    threshold : float
    words : str
        The clause for the sentence, with ``{value}`` and ``{threshold}``.
    veiled : str
        The same without the value, for a figure that must be withheld.
    applies : callable
        Whether the rule has anything to say, for instance when a stronger one says it already.
    """

    name: str
    verdict: Verdict
    figure: str
    wrong: Callable[[float, float], bool]
    threshold: float
    words: str
    veiled: str = ""
    applies: Callable[[Figures], bool] = lambda figures: True


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired.

    Attributes
    ----------
    rule : str
        Name of the rule.
    verdict : {"does not carry", "barely carries"}
    value : float or None
        The figure; None where it is withheld.
    threshold : float
    text : str
        The clause for a reader.
    """

    rule: str
    verdict: Verdict
    value: float | None
    threshold: float
    text: str


def _several_lists(figures: Figures) -> bool:
    return figures.n_lists > 1


RULES: tuple[Rule, ...] = (
    Rule(
        "too_few_lists",
        "does not carry",
        "n_lists",
        operator.lt,
        2,
        "only {value:.0f} list caught anybody, and an estimate needs two",
    ),
    Rule(
        "nobody_twice",
        "does not carry",
        "n_twice",
        operator.lt,
        1,
        "nobody is on two or more lists, so nothing says how many were missed",
        applies=_several_lists,
    ),
    Rule(
        "hardly_anybody_twice",
        "does not carry",
        "n_twice",
        operator.lt,
        TWICE_AT_LEAST,
        "persons on two or more lists: only {value:.0f}, fewer than {threshold:.0f}",
        "persons on two or more lists: fewer than {threshold:.0f}",
        applies=lambda figures: figures.n_twice > 0,
    ),
    Rule(
        "no_finite_model",
        "does not carry",
        "n_finite",
        operator.lt,
        1,
        "none of the models tried has a finite answer",
        applies=_several_lists,
    ),
    Rule(
        "independence_not_finite",
        "does not carry",
        "independence_finite",
        operator.lt,
        1,
        "even the independence model has no finite positive answer",
        applies=_several_lists,
    ),
    Rule(
        "two_lists_only",
        "barely carries",
        "n_lists",
        operator.lt,
        3,
        "with only {value:.0f} lists nothing can show whether they are independent",
        applies=_several_lists,
    ),
    Rule(
        "few_twice",
        "barely carries",
        "n_twice",
        operator.lt,
        TWICE_ENOUGH,
        "persons on two or more lists: only {value:.0f}, fewer than {threshold:.0f}",
        "persons on two or more lists: fewer than {threshold:.0f}",
        applies=lambda figures: figures.n_twice >= TWICE_AT_LEAST,
    ),
    Rule(
        "empty_overlaps",
        "barely carries",
        "empty_share",
        operator.ge,
        EMPTY_SHARE,
        "{value:.0%} of the overlaps of two lists are empty, a quarter or more",
    ),
    Rule(
        "low_coverage",
        "barely carries",
        "coverage",
        operator.lt,
        COVERAGE_ENOUGH,
        "the lists have little in common: sample coverage {value:.2f}, below {threshold:.2f}",
        "the lists have little in common: sample coverage below {threshold:.2f}",
        applies=_several_lists,
    ),
    Rule(
        "rival_models",
        "barely carries",
        "spread_ratio",
        operator.gt,
        DISAGREEMENT,
        "dark figures of models that BIC can hardly tell apart differ by a factor {value:.1f}, "
        "more than {threshold:.1f}",
        "dark figures of models that BIC can hardly tell apart differ by more than a factor {threshold:.1f}",
    ),
    Rule(
        "rival_criteria",
        "barely carries",
        "criteria_ratio",
        operator.gt,
        DISAGREEMENT,
        "dark figures of the best models by BIC and by AIC differ by a factor {value:.1f}, more than {threshold:.1f}",
        "dark figures of the best models by BIC and by AIC differ by more than a factor {threshold:.1f}",
    ),
    Rule(
        "better_without_answer",
        "barely carries",
        "n_better",
        operator.gt,
        0,
        "models without a finite answer that are better by BIC or AIC than every model with one: {value:.0f}",
    ),
)
"""Every rule. The gravest verdict that one of them gives is the table's; without any it carries an estimate."""

_GRAVEST_FIRST: tuple[Verdict, ...] = ("does not carry", "barely carries")


def findings_of(figures: Figures, withheld: Withheld = frozenset()) -> tuple[Finding, ...]:
    """Apply every rule and keep those that fire, in the order of `RULES`.

    Parameters
    ----------
    figures : Figures
    withheld : set of str
        Fields of `figures` whose value may not be told.

    Returns
    -------
    tuple of Finding
    """
    fired = [r for r in RULES if r.applies(figures) and r.wrong(getattr(figures, r.figure), r.threshold)]
    return tuple(
        _finding(rule, figures, veiled=rule.figure in withheld and bool(rule.veiled)) for rule in fired
    )


def _finding(rule: Rule, figures: Figures, *, veiled: bool) -> Finding:
    value = float(getattr(figures, rule.figure))
    text = (rule.veiled if veiled else rule.words).format(value=value, threshold=rule.threshold)
    return Finding(rule.name, rule.verdict, None if veiled else value, rule.threshold, text)


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """Give the gravest verdict among the findings.

    Examples
    --------
    >>> verdict_of(())
    'carries'
    """
    given = {finding.verdict for finding in findings}
    return next((verdict for verdict in _GRAVEST_FIRST if verdict in given), "carries")


def sentence_of(name: str, figures: Figures, withheld: Withheld = frozenset()) -> str:
    """Write the verdict with everything behind it as one sentence."""
    findings = findings_of(figures, withheld)
    verdict = verdict_of(findings)
    if verdict != "carries":
        return f"{name} {verdict} an estimate: {'; '.join(finding.text for finding in findings)}."
    persons = f"at least {TWICE_ENOUGH}" if "n_twice" in withheld else f"{figures.n_twice:,}"
    coverage = f"at least {COVERAGE_ENOUGH:.2f}" if "coverage" in withheld else f"{figures.coverage:.2f}"
    agreement = max(figures.spread_ratio, figures.criteria_ratio)
    return (
        f"{name} carries an estimate: {persons} persons are on two or more lists, sample coverage is {coverage}, "
        f"and dark figures of the best models agree within a factor {agreement:.1f}."
    )
