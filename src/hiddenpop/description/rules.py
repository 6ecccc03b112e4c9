"""The rules by which a table carries an estimate well, badly or not at all, in one plain table."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from hiddenpop.estimators.outcome import REJECTED

__all__ = [
    "REACHES",
    "RULES",
    "VERDICTS",
    "Figures",
    "Finding",
    "Rule",
    "Verdict",
    "findings_of",
    "grade_of",
    "sentence_of",
    "sentence_of_counts",
]

Verdict = Literal["carries", "fairly carries", "barely carries", "hardly carries", "does not carry"]
Withheld = frozenset[str]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""From grade 1 to grade 5."""

REACHES = (1.15, 1.4, 2.5)
"""Factors over which the sizes that the data allow may reach in grades 1, 2 and 3; `docs/limits.md` has the errors."""

WORST_BY_GROUNDS = 3
"""Grounds make a grade one worse, but not worse than this: grade 4 is for tables that allow sizes far apart."""

TWICE_AT_LEAST = 10
"""A dark figure has a relative standard error of at least about 1/sqrt(persons seen twice): above 30 % below 10."""

TWICE_ENOUGH = 50
"""With 50 persons seen twice the ends of a 95 % interval, the model being right, still differ by a factor 1.7."""

EMPTY_SHARE = 0.25
"""With a quarter of the overlaps empty much of the answer rests on zeros, which many models fit equally well."""

COVERAGE_ENOUGH = 0.55
"""At or below it Chao & Tsay (1998) advise against their general sample coverage estimator."""

LARGE_SPACE = 10**15
"""A number of models that is easier read as a power of 2."""

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
    own_coverage : float
        Sample coverage without lists that lie inside others and without copies.
    n_superfluous, n_everybody : int
        Lists that lie inside others or are copies, and lists that hold nearly everybody.
    misfit : float
        p-value of the goodness of fit of the best model by BIC; 1 where nothing can be tested.
    reach : float
        Largest over smallest size among the models close to the best by BIC, the best by AIC, and the 95 % interval of
        the best by BIC; where the models are not judged, what sampling error alone makes of it.
    independence_misfit : float
        p-value of the goodness of fit of independence, where it stands for models that are too many to compare; else 1.
    judged : bool
        Whether every model close to the best of the space is known.
    n_looked_at, n_space : int
        Models fitted, and models there are.
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
    own_coverage: float
    n_superfluous: int
    n_everybody: int
    misfit: float
    reach: float
    independence_misfit: float
    judged: bool
    n_looked_at: int
    n_space: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a figure, a threshold, and what is said when the figure is on the wrong side of it.

    Attributes
    ----------
    name : str
    verdict : {"does not carry", "fairly carries"}
        The best that a table can get when the rule fires.
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
    verdict : {"does not carry", "fairly carries"}
        The best that a table can get with it.
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
        "fairly carries",
        "n_lists",
        operator.lt,
        3,
        "with only {value:.0f} lists nothing can show whether they are independent",
        applies=_several_lists,
    ),
    Rule(
        "few_twice",
        "fairly carries",
        "n_twice",
        operator.lt,
        TWICE_ENOUGH,
        "persons on two or more lists: only {value:.0f}, fewer than {threshold:.0f}",
        "persons on two or more lists: fewer than {threshold:.0f}",
        applies=lambda figures: figures.n_twice >= TWICE_AT_LEAST,
    ),
    Rule(
        "empty_overlaps",
        "fairly carries",
        "empty_share",
        operator.ge,
        EMPTY_SHARE,
        "{value:.0%} of the overlaps of two lists are empty, a quarter or more",
    ),
    Rule(
        "superfluous_list",
        "fairly carries",
        "own_coverage",
        operator.le,
        1.0,
        "a list lies inside another or is its copy, without which sample coverage is {value:.2f}",
        "a list lies inside another or is its copy, which lifts sample coverage",
        applies=lambda figures: figures.n_superfluous > 0,
    ),
    Rule(
        "nearly_everybody",
        "fairly carries",
        "n_everybody",
        operator.gt,
        0,
        "a list holds nearly everybody observed, so that few others say how many were missed",
        applies=_several_lists,
    ),
    Rule(
        "low_coverage",
        "fairly carries",
        "own_coverage",
        operator.lt,
        COVERAGE_ENOUGH,
        "the lists have little in common: sample coverage {value:.2f}, below {threshold:.2f}",
        "the lists have little in common: sample coverage below {threshold:.2f}",
        applies=_several_lists,
    ),
    Rule(
        "rival_models",
        "fairly carries",
        "spread_ratio",
        operator.gt,
        DISAGREEMENT,
        "dark figures of models that BIC can hardly tell apart differ by a factor {value:.1f}, "
        "more than {threshold:.1f}",
        "dark figures of models that BIC can hardly tell apart differ by more than a factor {threshold:.1f}",
    ),
    Rule(
        "rival_criteria",
        "fairly carries",
        "criteria_ratio",
        operator.gt,
        DISAGREEMENT,
        "dark figures of the best models by BIC and by AIC differ by a factor {value:.1f}, more than {threshold:.1f}",
        "dark figures of the best models by BIC and by AIC differ by more than a factor {threshold:.1f}",
    ),
    Rule(
        "misfit",
        "fairly carries",
        "misfit",
        operator.lt,
        REJECTED,
        "the best model by BIC is rejected by its goodness of fit, p = {value:.1g}",
        "the best model by BIC is rejected by its goodness of fit, p below {threshold:g}",
    ),
    Rule(
        "independence_misfit",
        "fairly carries",
        "independence_misfit",
        operator.lt,
        REJECTED,
        "independence is rejected by its goodness of fit, p = {value:.1g}, and no other model is compared",
        "independence is rejected by its goodness of fit, p below {threshold:g}, and no other model is compared",
    ),
    Rule(
        "better_without_answer",
        "fairly carries",
        "n_better",
        operator.gt,
        0,
        "models without a finite answer that are better by BIC or AIC than every model with one: {value:.0f}",
    ),
)
"""Every rule. One that says "does not carry" gives grade 5. Otherwise the grade is 1 plus the `REACHES` that the reach
attains; any rule that fires makes grades 1 and 2 one worse."""

OF_THE_COUNTS = ("n_lists", "n_twice", "empty_share", "own_coverage", "n_everybody")
"""Figures that need no model."""


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


def grade_of(figures: Figures, findings: tuple[Finding, ...]) -> int:
    """Grade a table from 1, which carries an estimate, to 5, which does not.

    Parameters
    ----------
    figures : Figures
    findings : tuple of Finding
        Rules that fired, all or those that may be used.

    Returns
    -------
    int
    """
    if any(finding.verdict == VERDICTS[-1] for finding in findings):
        return len(VERDICTS)
    grade = 1 + sum(figures.reach >= reach for reach in REACHES)
    return grade + 1 if findings and grade < WORST_BY_GROUNDS else grade


def sentence_of(name: str, figures: Figures, withheld: Withheld = frozenset()) -> str:
    """Write the verdict with everything behind it as one sentence, and say where models were not judged."""
    findings = findings_of(figures, withheld)
    verdict = _verdict(name, figures, findings, withheld)
    if figures.judged or figures.n_lists < 2:
        return f"{verdict}."
    return (
        f"Judged by its counts alone, {verdict}; its models are not judged: {figures.n_looked_at:,} of "
        f"{_in_space(figures)} looked at."
    )


def _in_space(figures: Figures) -> str:
    """Write the number of models, which is a power of 2 where lists are many."""
    number = figures.n_space
    return f"{number:,}" if number < LARGE_SPACE else f"2^{number.bit_length() - 1}"


def _verdict(name: str, figures: Figures, findings: tuple[Finding, ...], withheld: Withheld) -> str:
    """Write verdict, grade and grounds."""
    grade = grade_of(figures, findings)
    grounds = [finding.text for finding in findings] or [_what_carries(figures, withheld)]
    if figures.judged and grade < len(VERDICTS):
        grounds.append(_reach(figures, withheld))
    return (
        f"{name} {VERDICTS[grade - 1]} an estimate (grade {grade} of {len(VERDICTS)}): {'; '.join(grounds)}"
    )


def _reach(figures: Figures, withheld: Withheld) -> str:
    if "reach" in withheld:
        passed = [reach for reach in REACHES if figures.reach >= reach]
        return f"the sizes that the data allow reach over a factor {'at least ' if passed else 'below '}" + (
            f"{passed[-1]:g}" if passed else f"{REACHES[0]:g}"
        )
    if math.isinf(figures.reach):
        return "the data set no upper limit to the size"
    return f"the sizes that the data allow reach over a factor {figures.reach:.2f}"


def _what_carries(figures: Figures, withheld: Withheld) -> str:
    """Say what speaks for a table on which no rule fires."""
    persons = f"at least {TWICE_ENOUGH}" if "n_twice" in withheld else f"{figures.n_twice:,}"
    coverage = f"at least {COVERAGE_ENOUGH:.2f}" if "coverage" in withheld else f"{figures.coverage:.2f}"
    return f"{persons} persons are on two or more lists and sample coverage is {coverage}"


def sentence_of_counts(name: str, figures: Figures) -> str:
    """Write the verdict of the rules that need no model as one sentence, which says so."""
    kept = {rule.name for rule in RULES if rule.figure in OF_THE_COUNTS}
    findings = tuple(finding for finding in findings_of(figures) if finding.rule in kept)
    verdict = _verdict(name, figures, findings, frozenset())
    return f"Judged by its counts alone, {verdict}; `hiddenpop describe` compares its models too."
