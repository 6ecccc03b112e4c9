"""`SelectedLogLinear`: the hierarchical log-linear model that a search chooses."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._details import Deferred
from hiddenpop._front_door import front_doors
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.loglinear import (
    PROTECTED,
    counts_under,
    estimate_of_model,
    number_of_model,
    profile_under,
)
from hiddenpop.estimators.outcome import CRITERIA, INTERVALS, REASONS, Criterion, IntervalMethod, terms_of
from hiddenpop.estimators.prepare import ListCounts, OddsRatios, as_odds_ratios, check_positive
from hiddenpop.estimators.protocol import (
    check_choice,
    check_exact,
    check_level,
    check_order,
    check_share,
    check_whole,
    spec_of,
)
from hiddenpop.estimators.resampled import NO_MODEL, RefitBlock, Resamples, fit_one, label_models
from hiddenpop.estimators.search import (
    CandidateModels,
    Fits,
    Leading,
    Proof,
    SelectionRule,
    canonical_order,
    default_order,
    downhill,
    evaluate,
    exact,
    exhaustive,
    forward_pairs,
    judge,
    list_models,
    refuse_proof,
    refuse_space,
    space_in_words,
    stepwise_p,
)
from hiddenpop.kernels.poisson.faces import FitStatus
from hiddenpop.kernels.poisson.model_fit import NUMBER_BY_STATUS, fit_model
from hiddenpop.kernels.poisson.profile import HiddenProfile
from hiddenpop.kernels.search.best_models import best_among, best_of_each
from hiddenpop.kernels.search.bound import INADMISSIBLE, from_words
from hiddenpop.kernels.search.mc3 import (
    MAX_LISTS,
    Agreement,
    Visited,
    Walk,
    agreement,
    merge,
    pairs_of,
    starts,
    walk,
)
from hiddenpop.model import MAX_ENUMERATED_LISTS, HierarchicalModel
from hiddenpop.parallel import run_blocks, spawn_seeds
from hiddenpop.provenance import make_provenance
from hiddenpop.result import (
    Diagnostic,
    Estimate,
    EstimatorSpec,
    Interval,
)
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = [
    "ADMISSIBLE",
    "COUNTS",
    "NO_MODEL",
    "SelectedLogLinear",
    "estimate_without_model",
    "selection_frame",
]

SEARCHES = ("exact", "exhaustive", "mc3", "stepwise_p", "stepwise_aic", "downhill")
RANKED_SEARCHES = ("exact", "exhaustive", "mc3")
ADMISSIBLE = ("finite", "exists")
COUNTS = ("all", "rank")

RIVAL_DISTANCE = 2.0
"""Models within two units of the best are commonly held to be supported as well (Burnham & Anderson 2002)."""

RIVAL_RATIO = 1.5
SELECTION_WINDOW = {"bic": 10.0, "aic": 4.0, "aicc": 4.0}
"""How far from the best the exact search lists models; AIC has very many near its best."""

NAMED_MODELS = 5

WINDOW = {"bic": 10.0, "aic": 4.0, "aicc": 4.0}
MODELS_KEPT, INADMISSIBLE_KEPT = 100, 20
"""Models near the best that are judged and listed; at twelve lists a linear programme takes a second."""

FEWEST_STEPS = 100


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedLogLinear(BaseEstimator):
    """Size of a closed population under the log-linear model that a search chooses.

    Parameters
    ----------
    criterion : {"bic", "aic", "aicc"}
        Ranks the models. BIC's penalty uses the number of observed persons.
    max_order : int, optional
        Size of the largest term searched; every order by default. Then ``"exhaustive"`` and ``"downhill"`` go up to
        order 2 for six lists and more, and the stepwise searches and ``"mc3"`` are over two-list terms. An order that
        leaves models out is named by the interval.
    search : {"exact", "exhaustive", "mc3", "stepwise_p", "stepwise_aic", "downhill"}
        Prove the best of the whole space by branch and bound (default; up to nine lists, more with ``max_order=2``);
        fit all models (up to six lists); walk at random over the models of two-list terms from several starts (for
        ten to twelve lists); the p-value rule of Chan, Silverman & Vincent (2021); forward by AIC; or greedy descent
        to the best neighbour. The last four can miss the best model.
    admissible : {"finite", "exists"}
        Which models may win: those with a finite and unique dark figure, or only those that pass the existence test
        of the extended maximum likelihood literature.
    count : {"all", "rank"}
        Penalise every nominal parameter, or only those that the data determine, which needs another search than
        ``"exact"``.
    p_threshold : float
        For ``"stepwise_p"``: a pair enters while its p-value is below this.
    max_fits : int
        For ``"exact"``: give up after so many fits. A diagnostic and ``details["proof"]`` then hold the gap that is
        left: how much better a model not looked at could be.
    n_steps : int
        For ``"mc3"``: steps of each walk. ``details["agreement"]`` tells whether the walks found the same.
    interval : {"profile", "lognormal", "wald"}
    level : float
    odds_ratios : tuple of (str, str, float), or mapping
        As for `LogLinear`: pairs of lists with a fixed odds ratio. Only models without the pair, and without any
        interaction that contains it, are searched.
    xi : float
        As for `LogLinear`.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    The interval takes the selected model as known, so it is too short: its coverage after selection by BIC was 61 %
    instead of 95 % in a published simulation. Bootstrap the estimator, selection included, for an honest one. A
    diagnostic says how far models within two units of the best disagree.

    References
    ----------
    Chan, L., Silverman, B. W. and Vincent, K. (2021). Journal of the American Statistical Association 116(535),
    1297-1306. doi:10.1080/01621459.2019.1708748
    Silverman, B. W., Chan, L. and Vincent, K. (2024). Bootstrapping multiple systems estimates to account for model
    selection. Statistics and Computing 34, 44. doi:10.1007/s11222-023-10346-9

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = SelectedLogLinear(criterion="bic").fit(hp.datasets.load("kosovo"))
    >>> estimate.details["model"], round(estimate.n_hat, 2)
    ('[123,14,34]', 10356.52)
    """

    name: ClassVar[str] = "selected"

    criterion: Criterion = "bic"
    max_order: int | None = None
    search: Literal["exact", "exhaustive", "mc3", "stepwise_p", "stepwise_aic", "downhill"] = "exact"
    admissible: Literal["finite", "exists"] = "finite"
    count: Literal["all", "rank"] = "all"
    p_threshold: float = 0.02
    max_fits: int = 200_000
    n_steps: int = 20_000
    interval: IntervalMethod = "profile"
    level: float = 0.95
    odds_ratios: OddsRatios = ()
    xi: float = 1.0

    def __post_init__(self) -> None:
        check_choice("criterion", self.criterion, CRITERIA)
        check_choice("search", self.search, SEARCHES)
        check_choice("admissible", self.admissible, ADMISSIBLE)
        check_choice("count", self.count, COUNTS)
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)
        check_order(self.max_order)
        check_share("p_threshold", self.p_threshold)
        check_exact(self.search, self.count)
        check_whole("max_fits", self.max_fits)
        check_whole("n_steps", self.n_steps, least=FEWEST_STEPS)
        object.__setattr__(self, "odds_ratios", as_odds_ratios(self.odds_ratios))
        object.__setattr__(self, "xi", check_positive("xi", self.xi))
        if self.search.startswith(("stepwise", "mc3")) and self.max_order not in (None, 2):
            raise SettingError(
                f"search={self.search!r} is over two-list terms; leave out max_order={self.max_order}"
            )

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Search the models and estimate under the winner.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            Only for the goodness of fit on sparse tables.

        Returns
        -------
        Estimate
            ``details["selection"]`` is a table of models, best first, with criteria, N and status: all of the space
            for ``"exhaustive"``; for ``"exact"`` those within 10 units of the best by BIC and 4 by AIC, inadmissible
            ones below it included, or as near as the fits allowed (``details["proof"].window``); for the others the
            models they came by. It is made when it is first read.

        Raises
        ------
        CapabilityError
            For an exhaustive search over more than six lists, an exact one over more than nine without
            ``max_order=2``, and as for `LogLinear`.
        """
        data = self.prepare(table)
        rule = self._rule()
        found = self._search(data, rule, rng)
        extra: dict[str, Any] = {
            "criterion": rule.criterion,
            "search": self.search,
            **found.details,
            "selection": Deferred(lambda: selection_frame(found.everything(), data, rule)),
        }
        model = self._model(found, data)
        if model is None:
            tried = found.everything()
            return estimate_without_model(spec_of(self), table, data, tried, self.level, rng, extra)
        estimate = estimate_of_model(
            spec_of(self),
            table,
            data,
            model,
            fit_model(data.counts, terms_of(model), data.n_lists, data.offset),
            level=self.level,
            interval=self.interval,
            rng=rng,
            known=f"selected model taken as known{space_in_words(self._order(data.n_lists), data.n_lists)}",
            diagnostics=found.diagnostics,
            extra=extra,
        )
        if self.search == "stepwise_p" or found.leading is None:
            return estimate
        winner = _winner(found.leading, ranked=self.search in RANKED_SEARCHES)
        remarks = _remarks(found, found.leading, data, rule, winner)
        return replace(estimate, diagnostics=(*estimate.diagnostics, *remarks))

    def number(self, table: CaptureTable, *, rng: RNGLike = None) -> tuple[float, str]:
        """Give the number and the model of `fit`, without interval and tables; inf or nan where there is none."""
        data = counts_under(self, table)
        found = self._search(data, self._rule(), rng)
        model = self._model(found, data)
        if model is None:
            agreed = status_without_model(found.everything())
            return data.n_observed + NUMBER_BY_STATUS[agreed], NO_MODEL
        return number_of_model(data, model), str(model)

    def hidden_profile(self, table: CaptureTable) -> HiddenProfile | None:
        """Say what the data tell of every dark figure under the model chosen; None without one."""
        if (
            self.interval != "profile" or self.search == "mc3"
        ):  # walks at random find other models the next time
            return None
        data = counts_under(self, table)
        model = self._model(self._search(data, self._rule(), None), data)
        return None if model is None else profile_under(data, model)

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("homogeneous", "one_of_models", "no_highest_order", "choice_as_known", "large_sample"),
            model_is="chosen",
            other_priors=(),
            needs_draws=self.search == "mc3",
            adds_up_strata=True,
            loglinear=True,
            fits_cells=True,
            ranks_models=self.search == "exhaustive" and self.count == "all",
        )

    def prepare(self, table: CaptureTable) -> ListCounts:
        """Count the lists that caught somebody, and refuse more of them than the search can take."""
        check_table(table)
        data = counts_under(self, table)
        if self.search == "exact":
            refuse_proof(data, self.max_order)
        elif self.search == "exhaustive":
            refuse_space(data.n_lists, self.max_order)
        elif self.search == "mc3":
            refuse_walks(data)
        return data

    def without_highest_order(self, table: CaptureTable) -> bool:
        """Tell that its dark figure is that without an interaction of all lists, but for ``xi``."""
        return True

    def canonical(self, n_lists: int) -> "SelectedLogLinear":
        """Set what plays no part in the search to its default, and the order to the one that is searched."""
        default, search = type(self)(), self.search
        idle = [
            *(("criterion",) if search in ("stepwise_p", "stepwise_aic") else ()),
            *(("p_threshold",) if search != "stepwise_p" else ()),
            *(("n_steps",) if search != "mc3" else ()),
            *(("max_fits",) if search != "exact" else ()),
        ]
        settled: dict[str, Any] = {name: getattr(default, name) for name in idle}
        if search in ("stepwise_p", "stepwise_aic"):
            order = default.max_order
        else:
            order = canonical_order(search, n_lists, self.max_order)
        return replace(self, **settled, max_order=order)

    def quicker(self, table: CaptureTable) -> "SelectedLogLinear":
        """Prove the best model in place of fitting every one: both choose the same."""
        n_lists = table.n_lists - len(table.empty_lists)
        if self.search != "exhaustive" or self.count != "all" or n_lists > MAX_ENUMERATED_LISTS:
            return self
        return replace(self, search="exact", max_order=default_order(n_lists, self.max_order))

    def quick_refits(self, block: RefitBlock) -> Resamples | None:
        """Choose and fit in every resample by a compiled loop; None for other searches than of the whole space."""
        if block.is_large or not self._has_quick_refits:
            return None
        data = counts_under(self, block.table)
        tables, exists = block.dense(data), self.admissible == "exists"
        if block.models:
            among = sorted(block.models, key=lambda term_set: (term_set.bit_count(), term_set))
            found = best_among(
                tables, among, data.n_lists, criterion=self.criterion, exists=exists, offset=data.offset
            )
            term_sets = [among[at] if at >= 0 else 0 for at in found.chosen]
            return Resamples(tables.sum(axis=1) + found.n0, label_models(term_sets, data.n_lists))
        best = best_of_each(
            tables,
            data.n_lists,
            criterion=self.criterion,
            max_order=self._order_of_refits(data.n_lists),
            exists=exists,
            max_fits=self.max_fits,
            offset=data.offset,
            without=data.without,
        )
        n_hat = tables.sum(axis=1) + best.n0
        for row in np.flatnonzero(np.isnan(n_hat)):  # no model may be chosen: `fit` says what that means
            n_hat[row] = fit_one(block, int(row))[0]
        labels = label_models([from_words(words) for words in best.term_sets], data.n_lists)
        return Resamples(n_hat, labels, int(np.sum(~best.finished)))

    @property
    def for_real_counts(self) -> "SelectedLogLinear | None":
        """Itself where its search has a compiled loop."""
        return self if self._has_quick_refits else None

    @property
    def _has_quick_refits(self) -> bool:
        return self.search in ("exact", "exhaustive") and self.count == "all"

    def _order_of_refits(self, n_lists: int) -> int | None:
        return default_order(n_lists, self.max_order) if self.search == "exhaustive" else self.max_order

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(
            scenario, "the interval takes a model that was chosen on the same data as known"
        )

    def _rule(self) -> SelectionRule:
        # Forward by AIC follows AIC whatever the criterion, and so do its rankings.
        criterion = "aic" if self.search == "stepwise_aic" else self.criterion
        return SelectionRule(criterion, self.count, self.admissible)

    def _order(self, n_lists: int) -> int:
        """Size of the largest term that is searched."""
        if self.search in ("exhaustive", "downhill"):
            return default_order(n_lists, self.max_order)
        return (self.max_order or n_lists - 1) if self.search == "exact" else 2

    def _model(self, found: "_Found", data: ListCounts) -> HierarchicalModel | None:
        """Give the model that wins; None where none may."""
        leading = found.leading
        if leading is None:
            return None
        winner = _winner(leading, ranked=self.search in RANKED_SEARCHES)
        term_set = int(leading.term_sets[winner])
        return HierarchicalModel.from_term_set(term_set, data.n_lists) if leading.allowed[winner] else None

    def _search(self, data: ListCounts, rule: SelectionRule, rng: RNGLike) -> "_Found":
        """Run the search. Where the criterion decides the models come best first, else the outcome comes first."""
        if self.search == "exhaustive":
            fits, n_models = exhaustive(data, rule, self.max_order)
            return _found_in(data, rule, fits, {"n_models": n_models, "path": None})
        if self.search == "exact":
            fits, proof = exact(data, rule, self.max_order, SELECTION_WINDOW[rule.criterion], self.max_fits)
            details = {"n_models": proof.n_fits, "path": None, "proof": proof}
            return _found_in(data, rule, fits, details, _unproven(proof, self.max_order))
        if self.search == "mc3":
            tried, walks = stochastic(data, rule, rng=rng, n_steps=self.n_steps)
            told = walks.pop("diagnostics", ())
            return _found_among(data, rule, tried.ranked(data, rule), {**walks, "path": None}, told)
        if self.search == "stepwise_p":
            tried, path = stepwise_p(data, rule, self.p_threshold)
        elif self.search == "stepwise_aic":
            tried, path = forward_pairs(data, rule)
        else:
            tried, path = downhill(data, rule, self.max_order)
        return _found_among(data, rule, tried, {"n_models": len(tried), "path": path})


def _winner(leading: Leading, *, ranked: bool) -> int:
    """Give the position of the first that may win; where the models are not ranked the first is the outcome."""
    return int(np.argmax(leading.allowed)) if ranked else 0


@dataclass(frozen=True, slots=True)
class _Found:
    """What a search has found.

    Attributes
    ----------
    leading : Leading or None
        The models that decide; None where none may win.
    everything : callable
        Gives every model tried, judged.
    other_count : callable
        Gives the model that would beat the winner with the other way of counting parameters; None where none would.
    details : dict
    diagnostics : tuple of Diagnostic
    """

    leading: Leading | None
    everything: Callable[[], CandidateModels]
    other_count: Callable[[int], "_Rival | None"]
    details: dict[str, Any]
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rival:
    """The model that would win if parameters were counted in the other way."""

    term_set: int
    n0: float


def _found_in(
    data: ListCounts,
    rule: SelectionRule,
    fits: Fits,
    details: dict[str, Any],
    told: tuple[Diagnostic, ...] = (),
) -> _Found:
    """Judge fitted models as far as the choice needs; all of them where the rank of each decides."""
    if rule.count == "rank":
        return _found_among(data, rule, judge(data, fits).ranked(data, rule), details, told)
    listed = list_models(data, rule, fits)

    def by_rank(winner: int) -> _Rival | None:
        best = [
            (int(listed.fits.term_sets[row]), float(listed.fits.n0[row])) for row in listed.best_by_rank()
        ]
        return None if winner in dict(best) or not best else _Rival(*best[0])

    return _Found(listed.leading(RIVAL_DISTANCE), listed.everything, by_rank, details, told)


def _found_among(
    data: ListCounts,
    rule: SelectionRule,
    tried: CandidateModels,
    details: dict[str, Any],
    told: tuple[Diagnostic, ...] = (),
) -> _Found:
    """Take models that have all been judged."""
    other = "rank" if rule.count == "all" else "all"

    def by_other_count(winner: int) -> _Rival | None:
        allowed = tried.eligible(data, rule)
        values = np.where(allowed, tried.criteria(data, other)[rule.criterion], np.inf)
        best = int(np.argmin(values))
        if values[best] >= values[tried.term_sets == winner].min():
            return None
        return _Rival(int(tried.term_sets[best]), float(tried.n0[best]))

    return _Found(tried.leading(data, rule), lambda: tried, by_other_count, details, told)


def _unproven(proof: Proof, max_order: int | None) -> tuple[Diagnostic, ...]:
    """Warn when the search ran out of fits before it had proven its best model."""
    if proof.finished:
        return ()
    fewer = "" if max_order is not None and max_order <= 2 else ", or take max_order=2"
    message = (
        f"the search stopped after {proof.n_fits:,} fits before the best model was proven: one up to {proof.gap:.1f} "
        f"units better may exist; raise max_fits{fewer}"
    )
    return (Diagnostic("search_unfinished", "warning", message, proof.gap),)


def selection_frame(tried: CandidateModels, data: ListCounts, rule: SelectionRule) -> pd.DataFrame:
    """Table of the models tried; N is nan or inf where the status is not ok."""
    criteria = tried.criteria(data, rule.count)
    without = {"boundary": float(data.n_observed), "unbounded": math.inf, "not_identified": math.nan}
    n_hat = np.where(
        tried.status == "ok", data.n_observed + tried.n0, [without.get(s, math.nan) for s in tried.status]
    )
    return pd.DataFrame(
        {
            "model": tried.labels(data.n_lists),
            "order": _orders(tried.term_sets, data.n_lists),
            "n_parameters": tried.n_parameters,
            "rank": tried.rank,
            "deviance": tried.deviance,
            **criteria,
            "n_hat": n_hat,
            "status": tried.status,
            "admissible": tried.eligible(data, rule),
        }
    )


def _orders(term_sets: npt.NDArray[np.object_], n_lists: int) -> npt.NDArray[np.int64]:
    """Size of the largest term of each model."""
    found = np.zeros(len(term_sets), dtype=np.int64)
    for size in range(1, n_lists + 1):
        mask = sum(1 << term for term in range(1 << n_lists) if term.bit_count() == size)
        found[(term_sets & mask).astype(bool)] = size
    return found


def _remarks(
    found: _Found, leading: Leading, data: ListCounts, rule: SelectionRule, winner: int
) -> tuple[Diagnostic, ...]:
    """Say what else the criterion would have."""
    remarks = [
        _better_without_answer(leading, data, rule, winner),
        _other_count(found.other_count(int(leading.term_sets[winner])), data, rule),
        _rivals(leading, data, rule),
    ]
    return tuple(d for d in remarks if d is not None)


def _better_without_answer(
    leading: Leading, data: ListCounts, rule: SelectionRule, winner: int
) -> Diagnostic | None:
    """Name the models that the criterion prefers but that have no admissible answer."""
    values = leading.criterion
    better = np.flatnonzero(~leading.allowed & (values < values[winner]))
    if not len(better):
        return None
    first = better[np.argsort(values[better], kind="stable")][:NAMED_MODELS]
    listed = ", ".join(
        f"{_label(leading.term_sets[row], data)} ({leading.status[row]}, {values[winner] - values[row]:.2f} lower)"
        for row in first
    )
    more = f" and {len(better) - len(first)} more" if len(better) > len(first) else ""
    message = f"{rule.criterion.upper()} prefers models without an admissible answer: {listed}{more}"
    return Diagnostic("better_models_without_answer", "warning", message, len(better))


def _other_count(rival: _Rival | None, data: ListCounts, rule: SelectionRule) -> Diagnostic | None:
    """Say when the other way of counting parameters would choose another model."""
    if rival is None:
        return None
    other = "rank" if rule.count == "all" else "all"
    label = _label(rival.term_set, data)
    message = f'with count="{other}" {rule.criterion.upper()} would choose {label}, N = {{0}}'
    sizes = (float(data.n_observed + rival.n0),)
    return Diagnostic("count_changes_winner", "warning", message, label, sizes)


def _rivals(leading: Leading, data: ListCounts, rule: SelectionRule) -> Diagnostic | None:
    """Say when models about as good give very different answers."""
    values, allowed = leading.criterion, leading.allowed
    near = leading.n0[allowed & (values <= values[allowed].min() + RIVAL_DISTANCE)]
    if near.max() < RIVAL_RATIO * near.min():
        return None
    message = (
        f"{len(near)} models within {RIVAL_DISTANCE:g} units of the best {rule.criterion.upper()} give N from {{0}} to "
        f"{{1}}: the choice among them decides the answer"
    )
    sizes = (float(data.n_observed + near.min()), float(data.n_observed + near.max()))
    return Diagnostic("rivals_disagree", "warning", message, float(near.max() / near.min()), sizes)


def _label(term_set: int, data: ListCounts) -> str:
    return str(HierarchicalModel.from_term_set(int(term_set), data.n_lists))


def status_without_model(tried: CandidateModels) -> FitStatus:
    """Give the status that all models agree on where none may be used, else that the data do not tell."""
    told: set[FitStatus] = set(tried.status) - {"not_identified"}
    return told.pop() if told in ({"boundary"}, {"unbounded"}) else "not_identified"


def estimate_without_model(
    spec: EstimatorSpec,
    table: CaptureTable,
    data: ListCounts,
    tried: CandidateModels,
    level: float,
    rng: RNGLike,
    extra: dict[str, Any],
) -> Estimate:
    """Answer when no model may be used: what all of them agree on, else that the data do not tell."""
    telling = np.flatnonzero(tried.status != "not_identified")
    first = HierarchicalModel.from_term_set(
        int(tried.term_sets[telling[0] if len(telling) else 0]), data.n_lists
    )
    if status_without_model(tried) != "not_identified":
        fit = fit_model(data.counts, terms_of(first), data.n_lists, data.offset)
        return estimate_of_model(
            spec,
            table,
            data,
            first,
            fit,
            level=level,
            interval="profile",
            rng=rng,
            known="first of the models tried taken as known",
            extra=extra,
        )
    why = REASONS.get(str(tried.status[0]), "its criterion is not finite or it fails the existence test")
    return Estimate(
        n_hat=math.nan,
        n_observed=data.n_observed,
        interval=Interval(data.n_observed, math.inf, level, "none: from the number observed to infinity"),
        status="not_identified",
        reason=f"no model can be chosen among the {extra['n_models']:,} tried; of {first}: {why}",
        estimator=spec,
        table=table.summary,
        diagnostics=data.diagnostics,
        provenance=make_provenance(table.summary, rng),
        details={"dropped_lists": list(data.dropped), **extra},
        protected=PROTECTED if data.has_small else (),
    )


# === stochastic search for ten to twelve lists ========================================================================
# Random walks over the models with two-list terms, from several starts.


@dataclass(frozen=True, slots=True)
class _Chain:
    """One chain as a block of work."""

    counts: npt.NDArray[np.float64]
    n_lists: int
    start: int
    n_steps: int
    rng: np.random.Generator
    criterion: str
    exists: bool
    offset: npt.NDArray[np.float64] | None
    without: int


def stochastic(
    data: ListCounts, rule: SelectionRule, *, rng: RNGLike, n_chains: int = 4, n_steps: int = 20_000
) -> tuple[CandidateModels, dict[str, Any]]:
    """Search the models with two-list terms by random walks (MC3; Madigan & York 1995) from several starts.

    Parameters
    ----------
    data : ListCounts
        Up to twelve lists.
    rule : SelectionRule
        Must count every nominal parameter.
    rng : int, Generator or None
    n_chains : int
        The first starts from independence, the second from all pairs, the others from random sets of pairs.
    n_steps : int
        Steps a chain, each adding or removing one pair or staying; twelve lists took half a minute with 20,000.

    Returns
    -------
    tried : CandidateModels
        Models near the best that the chains fitted, best first, the inadmissible ones among them included.
    found : dict
        ``n_models`` fitted, ``visits`` of the models in `tried`, ``agreement`` of the chains and ``diagnostics``, a
        tuple that warns where they disagree.

    Raises
    ------
    CapabilityError
        For more than twelve lists, or where every odds ratio is fixed.
    SettingError
        For fewer than two chains or too few steps.

    Notes
    -----
    Each chain ends by going downhill from its best model, one pair at a time. What it finds is not proven to be the
    best. Chains that agree on it, and on the time they spend at the best models, make it likely.

    References
    ----------
    Madigan, D. and York, J. (1995). Bayesian graphical models for discrete data. International Statistical Review
    63(2), 215-232. doi:10.2307/1403615

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.estimators.prepare import list_counts
    >>> data = list_counts(hp.datasets.load("uk"), estimator="selected")
    >>> tried, found = stochastic(data, SelectionRule("bic"), rng=1, n_steps=2_000)
    >>> tried.labels(6)[0], round(float(tried.n0[0]) + data.n_observed, 2), found["agreement"].found_best
    ('[12,13,25,35,36,45]', 12349.59, 4)
    """
    check_whole("n_chains", n_chains, least=2)
    check_whole("n_steps", n_steps, least=FEWEST_STEPS)
    refuse_walks(data)
    begin, *rngs = spawn_seeds(rng, n_chains + 1)
    tasks = [
        _Chain(
            data.counts,
            data.n_lists,
            start,
            n_steps,
            child,
            rule.criterion,
            rule.admissible == "exists",
            data.offset,
            data.without,
        )
        for start, child in zip(starts(data.n_lists, n_chains, begin, data.without), rngs, strict=True)
    ]
    chains = run_blocks(_run, tasks, label="stochastic search")
    visited = merge(chains, data.n_lists, data.without)
    rows = _near_best(visited, rule)
    visits = dict(zip(visited.term_sets, visited.visits.tolist(), strict=True))
    tried = evaluate(data, [visited.term_sets[row] for row in rows]).ranked(data, rule)
    agreed = agreement(chains, data.n_lists, data.without)
    return tried, {
        "n_models": len(visited.term_sets),
        "visits": [visits[int(term_set)] for term_set in tried.term_sets],
        "agreement": agreed,
        "diagnostics": _warnings(agreed, data.n_lists),
    }


def refuse_walks(data: ListCounts) -> None:
    """Refuse more lists than walks can be taken over, and a space without a model to walk to.

    Raises
    ------
    CapabilityError
    """
    if data.n_lists > MAX_LISTS:
        raise CapabilityError(
            f"the stochastic search takes at most {MAX_LISTS} lists and this table has {data.n_lists}; merge lists "
            f"of the same kind, or use a stepwise search"
        )
    if not len(pairs_of(data.n_lists, data.without)):
        raise CapabilityError(
            "odds_ratios fixes every pair of lists, so there is nothing to search; use LogLinear in its place"
        )


def _run(task: _Chain) -> Walk:
    return walk(
        task.counts,
        task.n_lists,
        start=task.start,
        n_steps=task.n_steps,
        rng=task.rng,
        criterion=task.criterion,
        exists=task.exists,
        offset=task.offset,
        without=task.without,
    )


def _near_best(visited: Visited, rule: SelectionRule) -> npt.NDArray[np.intp]:
    """Positions of the models worth judging: those near the best, and the inadmissible ones that come before it."""
    allowed = np.flatnonzero(visited.codes != INADMISSIBLE)
    refused = np.flatnonzero(visited.codes == INADMISSIBLE)[:INADMISSIBLE_KEPT]
    if not len(allowed):
        return refused
    end = visited.values[allowed[0]] + WINDOW[rule.criterion]  # noqa: PD011
    rows = np.concatenate([allowed[:MODELS_KEPT], refused])
    return np.sort(rows[visited.values[rows] <= end])  # noqa: PD011


def _warnings(agreed: Agreement, n_lists: int) -> tuple[Diagnostic, ...]:
    """Say where the chains differ."""
    if agreed.agree:
        return ()
    named = dict.fromkeys(
        str(HierarchicalModel.from_term_set(term_set, n_lists)) for term_set in agreed.best if term_set
    )
    message = (
        f"the chains of the stochastic search disagree: {agreed.found_best} of {len(agreed.best)} found the best "
        f"model; split R-hat of the log dark figure {agreed.rhat:.2f}, total variation between chains "
        f"{agreed.total_variation:.2f}; best models by chain: {', '.join(named) or 'none admissible'}. Take more steps"
    )
    return (Diagnostic("chains_disagree", "warning", message, agreed.rhat),)
