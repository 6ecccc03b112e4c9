"""Which handful of persons turns the answer: one fewer, one more, or nobody in each capture history."""

import itertools
import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import distinct_texts
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import EmptyListWarning, SettingError
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.resampled import Resamples
from hiddenpop.result import Estimate, format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.points import Point, cells_that_count, evaluate, number_maker, refit_all
from hiddenpop.sensitivity.protocol import CheckContext, Found, StandardCheck, Verdict, figure_of, judge
from hiddenpop.table import CaptureTable

__all__ = ["CellInfluence"]

LARGEST_EMPTIED = 0.1
"""A cell with a larger share of the persons is not emptied: without it the table is another one."""

EMPTIED = 0
"""The move that takes everybody out of a cell."""

MOST_NAMED = 4

MOST_LISTS = 6
"""Up to so many lists the histories that nobody has are tried as well."""

EXACT_UP_TO = 2
"""Every choice of so many persons is tried; more are found one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellInfluence(StandardCheck):
    """The estimate with one person fewer, one more, or nobody in each capture history.

    Parameters
    ----------
    perturb : tuple of int
        Persons to add to one cell at a time; negative ones are taken away.
    empty_cells : bool
        Also empty each cell that holds at most a tenth of the persons.
    most_removed : int
        Up to so many persons are taken away together to break the claim; 0 leaves that out.
    claim : str or Claim, optional
        For instance "more than 10,000". Without one the estimate is held to its own interval.

    Raises
    ------
    SettingError
        If `perturb` is empty or holds 0, or `most_removed` is negative.

    Notes
    -----
    Every move is a fit with all that the estimator does, the choice of a model included. Where one person more or
    fewer leads to another model, the estimate jumps, and the interval of the estimate may not know of it. Up to six
    lists, persons are also added to the histories that nobody has. Persons of different strata count together where
    the estimator knows lists only.

    The table has one row per move: ``history``, ``count`` (persons in the cell), ``move``, ``n_hat``, ``change``
    (persons more than the estimate) and ``model``. The largest changes stand in front where the data are public.

    The verdict is about the moves of a person; cells that are emptied are told apart. The smallest number of persons
    whose removal breaks the claim is exact up to two; beyond, each step takes the person who moves the estimate most,
    so fewer may do.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> found = CellInfluence(empty_cells=False).run(hp.SelectedLogLinear(), hp.datasets.load("korea"))
    >>> found.table["history"].nunique(), found.n_points
    (7, 13)
    """

    name: ClassVar[str] = "cell_influence"

    perturb: tuple[int, ...] = (-1, 1)
    empty_cells: bool = True
    most_removed: int = 5
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        steps = tuple(self.perturb)
        if not steps or any(step == 0 or step != int(step) for step in steps):
            raise SettingError(
                f"perturb={self.perturb!r} must hold whole numbers of persons other than 0, such as (-1, 1)"
            )
        if self.most_removed < 0:
            raise SettingError(f"most_removed={self.most_removed!r} must be 0 or more")
        as_claim(self.claim)
        object.__setattr__(self, "perturb", steps)

    def _find(self, asked: CheckContext) -> Found | str:
        if asked.table.has_censored:
            return "does not apply: a censored count is an upper bound, to which no person can be added"
        base = asked.base()
        counted = cells_that_count(asked.estimator, asked.table)
        cells = MovedCells(asked.estimator, every_cell(counted), asked.seed)
        counts = cells.counts_of(counted)
        claim = claim_or_interval(self.claim, base)
        removal = fewest_removed(cells, counts, base, claim, self.most_removed)
        return self._result(asked.table, (base, claim, self._moves(cells, counts, base), removal))

    def _moves(self, cells: "MovedCells", counts: Ints, base: Estimate) -> pd.DataFrame:
        """Estimate after every move, the table as it is in front."""
        steps = [
            (cell, step) for cell in range(len(counts)) for step in self.perturb if counts[cell] + step >= 0
        ]
        handful = (counts > 0) & (counts <= LARGEST_EMPTIED * counts.sum()) & self.empty_cells
        steps += [(int(cell), EMPTIED) for cell in np.flatnonzero(handful)]
        moved = np.tile(counts, (len(steps) + 1, 1))
        for row, (cell, step) in enumerate(steps, start=1):
            moved[row, cell] = moved[row, cell] + step if step else 0
        found = cells.estimate(moved, f"moves of persons in {cells.table.name}")
        told = [cells.answer(moved[row], found, row) for row in range(1, len(moved))]
        frame = pd.DataFrame(
            {
                "point": [f"{cells.names[cell]}: {_move_text(step)}" for cell, step in steps],
                "history": [cells.names[cell] for cell, _ in steps],
                "count": [int(counts[cell]) for cell, _ in steps],
                "move": [_move_text(step) for _, step in steps],
                "n_hat": [n for n, _, _ in told],
                "low": math.nan,
                "high": math.nan,
                "change": [n - base.n_hat for n, _, _ in told],
                "n_observed": moved[1:].sum(axis=1),
                "status": [status for _, status, _ in told],
                "reason": [reason for _, _, reason in told],
                "model": found.models[1:],
                "other_model": [model != found.models[0] for model in found.models[1:]],
            }
        )
        return _largest_first(frame) if cells.table.public else frame

    def _result(
        self, table: CaptureTable, found: "tuple[Estimate, Claim, pd.DataFrame, Removal | None]"
    ) -> Found:
        base, claim, frame, removal = found
        persons = frame[frame["move"] != _move_text(EMPTIED)]
        verdict = judge(persons, claim, points="moves of persons")
        told = [
            verdict.text,
            _flips_in_words(persons, base),
            _emptied_in_words(frame[frame["move"] == _move_text(EMPTIED)], claim),
            _removal_in_words(removal, self.most_removed, claim),
        ]
        return Found(
            passed=verdict.passed,
            table=frame,
            text=" ".join(part for part in told if part),
            figure=figure_of("forest", _title(table), base, claim, label="point", truth=""),
            n_points=len(frame),
            n_failed=int(np.sum(~np.isfinite(frame["n_hat"]))),
            protected=() if table.public else PROTECTED,
            text_to_leave="" if table.public else _text_to_leave(verdict, persons, removal, claim),
        )


PROTECTED = ("count", "n_hat", "change", "n_observed", "status", "reason", "model", "other_model")
"""What a table with one person fewer gives away of the small counts in it."""


def _move_text(step: int) -> str:
    """Say what a move does.

    Examples
    --------
    >>> _move_text(-1), _move_text(2), _move_text(0)
    ('1 fewer', '2 more', 'nobody')
    """
    return f"{abs(step)} {'more' if step > 0 else 'fewer'}" if step else "nobody"


def _largest_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the largest changes in front. Of data that are not public even the order would tell of small counts."""
    order = np.argsort(-np.abs(frame["change"].fillna(math.inf).to_numpy(dtype=float)), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


# --- in words ---------------------------------------------------------------------------------------------------------


def _flips_in_words(persons: pd.DataFrame, base: Estimate) -> str:
    """Say which moves of persons lead to another model, and to which size."""
    flips = persons[persons["other_model"] & (persons["model"] != "")]
    if flips.empty:
        return ""
    parts = []
    for model, rows in list(flips.groupby("model", sort=False))[:MOST_NAMED]:
        median = format_persons(float(rows["n_hat"].median()), base.interval.width)
        named = "; ".join(rows["point"].head(MOST_NAMED))
        more = f"; {len(rows) - MOST_NAMED} others" if len(rows) > MOST_NAMED else ""
        parts.append(f"{model} with N about {median} ({named}{more})")
    return f"{len(flips)} of them lead to another model: {', or '.join(parts)}."


def _emptied_in_words(emptied: pd.DataFrame, claim: Claim) -> str:
    known = emptied[np.isfinite(emptied["n_hat"].to_numpy(dtype=float))]
    if known.empty:
        return ""
    broken = sum(not claim.holds(n) for n in known["n_hat"])
    low, high = known["n_hat"].min(), known["n_hat"].max()
    span = f"{format_persons(low, high - low)} to {format_persons(high, high - low)}"
    unknown = f"; {len(emptied) - len(known)} have no number" if len(known) < len(emptied) else ""
    return f"With a whole cell emptied N runs from {span}, and the claim fails at {broken} of {len(known)}{unknown}."


def _removal_in_words(removal: "Removal | None", most: int, claim: Claim) -> str:
    if not most:
        return ""
    if removal is None:
        return f"Taking away up to {most} persons was not found to break the claim ({claim.text})."
    counted = ", ".join(f"{times} on {name}" for name, times in Counter(removal.persons).items())
    n = format_persons(removal.n_hat, math.inf)
    return f"{_fewest(removal)} ({counted}): N is {n} without."


def _fewest(removal: "Removal") -> str:
    size = len(removal.persons)
    words = "1 person is" if size == 1 else f"{size} persons are"
    return f"{words} enough to break the claim{'' if removal.exact else ', and fewer may be'}"


def _text_to_leave(verdict: Verdict, persons: pd.DataFrame, removal: "Removal | None", claim: Claim) -> str:
    """Give the verdict without sizes: those of tables with one person fewer tell the small counts."""
    known = verdict.n_points - verdict.n_failed
    holds = round(verdict.share * known) if known else 0
    flips = int((persons["other_model"] & (persons["model"] != "")).sum())
    fewest = f" {_fewest(removal)}." if removal is not None else ""
    return (
        f"The claim ({claim.text}) holds at {holds} of {known} moves of persons with a number; "
        f"{flips} moves lead to another model.{fewest}"
    )


def _title(table: CaptureTable) -> str:
    return f"{table.name}: one person fewer, one more, or nobody in each capture history"


# === counts of cells with persons more or fewer =======================================================================
# The estimate from each, and how few persons carry a claim.


@dataclass(frozen=True, slots=True)
class MovedCells:
    """The cells to which persons are added, and the estimator that is run on them."""

    estimator: Estimator
    table: CaptureTable
    seed: int

    @property
    def names(self) -> list[str]:
        """Name each cell by its lists and, where there are some, by its strata."""
        rows = [
            tuple(name for i, name in enumerate(self.table.lists) if history >> i & 1)
            for history in self.table.histories.tolist()
        ]
        lists = distinct_texts(rows, " & ")
        levels = distinct_texts(self.table.strata.itertuples(index=False, name=None), ", ")
        return [f"{name} ({level})" if level else name for name, level in zip(lists, levels, strict=True)]

    def counts_of(self, table: CaptureTable) -> Ints:
        """Give the persons of the real table in each cell."""
        if len(self.table) == len(table):
            return np.array(table.counts)
        at = np.zeros(1 << table.n_lists, dtype=np.int64)
        at[table.histories] = table.counts
        return at[self.table.histories]

    def estimate(self, counts: Ints, label: str) -> Resamples:
        """Estimate from every row of counts; all share the seed."""
        return refit_all(self.estimator, self.table, counts, seed=self.seed, label=label)

    def answer(self, counts: Ints, found: Resamples, row: int) -> tuple[float, str, str]:
        """Give number, status and reason; an unknown number is asked of the estimator itself."""
        n = float(found.n_hat[row])
        if not math.isnan(n):
            persons = int(counts.sum())
            status = "unbounded" if math.isinf(n) else "boundary" if n <= persons else "ok"
            return n, status, "the dark figure is unbounded" if math.isinf(n) else ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EmptyListWarning)
            point = Point({}, number_maker(self.estimator), replace(self.table, counts=counts))
        told = evaluate([point], seed=self.seed, label="").iloc[0]
        return float(told["n_hat"]), str(told["status"]), str(told["reason"])


def every_cell(table: CaptureTable) -> CaptureTable:
    """Make a table with a person in every history, so that persons can be added to those that nobody has."""
    if table.n_lists > MOST_LISTS or len(table.strata.columns) or table.coverage:
        return table
    histories = np.arange(1, 1 << table.n_lists, dtype=np.int64)
    bits = {name: histories >> i & 1 for i, name in enumerate(table.lists)}
    frame = pd.DataFrame({**bits, "count": 1})
    labels = {"name": table.name, "population": table.population, "public": table.public}
    return CaptureTable.from_counts(frame, lists=table.lists, **labels)  # type: ignore[arg-type]


# --- how many persons must go -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Removal:
    """Persons whose removal breaks a claim.

    Attributes
    ----------
    persons : tuple of str
        The capture history of each.
    n_hat : float
        The estimate without them.
    exact : bool
        Whether it is known that fewer do not break it.
    """

    persons: tuple[str, ...]
    n_hat: float
    exact: bool


def fewest_removed(
    cells: MovedCells, counts: Ints, base: Estimate, claim: Claim, most: int
) -> Removal | None:
    """Look for the fewest persons without whom the claim fails; None where none are found or it fails already.

    Parameters
    ----------
    cells : MovedCells
    counts : ndarray of int, shape (m,)
    base : Estimate
    claim : Claim
    most : int

    Returns
    -------
    Removal or None

    Notes
    -----
    One and two persons: every choice. More: starting from the pair that brings the estimate closest to an end of the
    claim, the person who brings it closest is taken away next, for each end apart.
    """
    if not most or not claim.holds(base.n_hat):
        return None
    gone: list[tuple[int, ...]] = []
    n_hat = np.zeros(0)
    for size in range(1, min(EXACT_UP_TO, most) + 1):
        gone = _choices(counts, size)
        n_hat = _without(cells, counts, gone)
        broken = _breaks(n_hat, claim)
        if broken.any():
            at = int(np.flatnonzero(broken)[0])
            return _removal(cells, gone[at], n_hat[at], exact=True)
    if most <= EXACT_UP_TO:
        return None
    found = [_greedy(cells, counts, gone, n_hat, claim, (end, most)) for end in claim.ends]
    known = [removal for removal in found if removal is not None]
    return min(known, key=lambda removal: len(removal.persons), default=None)


def _choices(counts: Ints, size: int) -> list[tuple[int, ...]]:
    """Give every choice of so many persons, told apart by their cells only."""
    cells = np.flatnonzero(counts).tolist()
    chosen = itertools.combinations_with_replacement(cells, size)
    return [gone for gone in chosen if all(counts[cell] >= times for cell, times in Counter(gone).items())]


def _without(cells: MovedCells, counts: Ints, gone: list[tuple[int, ...]]) -> Floats:
    rows = np.tile(counts, (len(gone), 1))
    for row, persons in zip(rows, gone, strict=True):
        np.subtract.at(row, list(persons), 1)
    return cells.estimate(rows, f"persons taken out of {cells.table.name}").n_hat


def _breaks(n_hat: Floats, claim: Claim) -> npt.NDArray[np.bool_]:
    return np.array([math.isfinite(n) and not claim.holds(n) for n in n_hat], dtype=np.bool_)


def _greedy(
    cells: MovedCells,
    counts: Ints,
    gone: list[tuple[int, ...]],
    n_hat: Floats,
    claim: Claim,
    goal: tuple[float, int],
) -> Removal | None:
    """Take one more person at a time, each time the one that brings the estimate closest to an end of the claim."""
    end, most = goal
    while gone and len(gone[0]) < most:
        distance = np.where(np.isfinite(n_hat), np.abs(n_hat - end), math.inf)
        best = gone[int(np.argmin(distance))]
        spare = counts - np.bincount(best, minlength=len(counts))
        gone = [(*best, cell) for cell in np.flatnonzero(spare > 0).tolist()]
        n_hat = _without(cells, counts, gone)
        broken = np.flatnonzero(_breaks(n_hat, claim))
        if len(broken):
            at = int(broken[0])
            return _removal(cells, gone[at], n_hat[at], exact=len(gone[at]) == EXACT_UP_TO + 1)
    return None


def _removal(cells: MovedCells, gone: tuple[int, ...], n_hat: float, *, exact: bool) -> Removal:
    names = cells.names
    return Removal(tuple(names[cell] for cell in sorted(gone)), float(n_hat), exact)
