"""`ListInfluence`: every list left out and every pair of lists merged, and which list carries the estimate."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import Estimator, check_choice
from hiddenpop.result import Estimate, format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.points import evaluate_made, has_number
from hiddenpop.sensitivity.protocol import CheckContext, Found, StandardCheck, figure_of, judge
from hiddenpop.sensitivity.regrouping import Blocks, block_names, regrouped, regrouped_estimator
from hiddenpop.table import CaptureTable

__all__ = ["ListInfluence", "set_partitions"]

MOVES = ("leave_one_out", "merge_pairs")
LEAVE_OUT, MERGE, PARTITION = "leave out", "merge", "partition"
FEWEST_LISTS = 3
"""One is left out or two are merged, and an estimate needs two lists."""

MOST_PARTITIONED = 6
"""Six lists have 203 set partitions, seven have 877."""

MOST_NAMED = 12
"""Points that a text names; of more it gives the number."""

MOST_COMBINED = 8
"""Subsets of lists double with every list; eight lists have 484 to leave out or merge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInfluence(StandardCheck):
    """What the answer owes to each list: leave lists out, and merge lists into one.

    Parameters
    ----------
    moves : tuple of {"leave_one_out", "merge_pairs"}
        Leave every list out in turn; merge every pair of lists.
    combinations : bool
        Also leave out, and merge, every set of two or more lists; at least two lists remain. Up to eight lists.
    partitions : bool
        Also every way to sort the lists into groups, each merged into one list. Up to six lists.
    claim : str or Claim, optional
        Such as "more than 10,000". Without one, N should stay within the interval of the baseline.

    Raises
    ------
    SettingError
        If nothing is asked for, or the claim cannot be read.

    Notes
    -----
    Leaving a list out removes the persons who are on that list alone from the observed. They become hidden: the
    population to be estimated stays the same, while ``n_observed`` falls. An estimate below the number seen on all
    lists together is then known to be too small; the column ``below_observed`` marks it. Merging keeps all persons: on
    the merged list is who was on any of its parts.

    A model that is given (`LogLinear`) goes along: without the lists that are left out, and with each interaction of a
    merged list made one of the whole. Searches and averages begin anew on the lists that remain.

    Lists that caught nobody are left alone, as they change nothing.

    The table has one row per move: ``what`` it is in words, ``move``, ``lists``, ``n_lists`` (those that remain), the
    figures of the estimate, ``change`` (its ratio to the baseline) and ``below_observed``.

    References
    ----------
    Sharifi Far, S., King, R., Bird, S., Overstall, A., Worthington, H. and Jewell, N. (2021). Multiple systems
    estimation for modern slavery: robustness of list omission and combination. Crime & Delinquency.
    doi:10.1177/0011128720951429

    Examples
    --------
    >>> import hiddenpop as hp
    >>> found = ListInfluence(moves=("leave_one_out",)).run(hp.LogLinear(), hp.datasets.load("kosovo"))
    >>> found.table[["lists", "n_hat", "change"]].round(2).values.tolist()
    [['EXH', 6451.13, 0.87], ['ABA', 6777.54, 0.92], ['OSCE', 7603.3, 1.03], ['HRW', 7392.62, 1.0]]
    """

    name: ClassVar[str] = "list_influence"

    moves: str | tuple[str, ...] = MOVES
    combinations: bool = False
    partitions: bool = False
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        given = (self.moves,) if isinstance(self.moves, str) else tuple(self.moves)
        for move in given:
            check_choice("moves", move, MOVES)
        object.__setattr__(self, "moves", given)
        as_claim(self.claim)
        if not (given or self.combinations or self.partitions):
            raise SettingError(
                "nothing to try: name a move, such as moves=('leave_one_out',), or set combinations or partitions"
            )

    def _find(self, asked: CheckContext) -> Found | str:
        estimator, table = asked.estimator, asked.table
        whole = table.drop_list(*table.empty_lists) if table.empty_lists else table
        if whole.n_lists < FEWEST_LISTS:
            why = f"does not apply: {table.name} has {whole.n_lists} lists that caught somebody, and leaving one out or"
            return f"{why} merging two needs {FEWEST_LISTS}"
        moves = self._moves(whole.lists)
        base = asked.base()
        made = [(labels, _moved(estimator, whole, blocks)) for labels, blocks in moves]
        frame = evaluate_made(made, table, seed=asked.seed, label=f"lists of {table.name}")
        frame = frame.assign(change=frame["n_hat"] / base.n_hat, below_observed=_below(frame, table))
        claim = claim_or_interval(self.claim, base)
        verdict = judge(frame.assign(n_observed=table.n_observed), claim, points="sets of lists")
        return Found.judged(
            verdict,
            table=frame,
            text=f"{verdict.text} {influence_in_words(frame, base)}",
            figure=figure_of(
                "forest", "Lists left out and merged", base, claim, label="what", group="move", truth=""
            ),
            protected=("n_observed", "change"),
        )

    def _moves(self, lists: tuple[str, ...]) -> list[tuple[dict[str, Any], Blocks]]:
        """Name every move once, with the groups of lists it leaves."""
        self._refuse_size(len(lists))
        found: dict[Blocks, dict[str, Any]] = {}
        for move, blocks in self._wanted(lists):
            found.setdefault(blocks, _named_move(move, _moved_lists(move, lists, blocks)))
        return [({**labels, "n_lists": len(blocks)}, blocks) for blocks, labels in found.items()]

    def _wanted(self, lists: tuple[str, ...]) -> Iterator[tuple[str, Blocks]]:
        most = len(lists) - 1
        left_out = _sizes(1, most - 1, "leave_one_out" in self.moves, self.combinations)
        merged = _sizes(2, most, "merge_pairs" in self.moves, self.combinations)
        for chosen in (c for size in left_out for c in combinations(lists, size)):
            yield LEAVE_OUT, tuple((name,) for name in lists if name not in chosen)
        for chosen in (c for size in merged for c in combinations(lists, size)):
            yield MERGE, _joined(lists, chosen)
        if self.partitions:
            yield from ((PARTITION, blocks) for blocks in set_partitions(lists) if 1 < len(blocks) <= most)

    def _refuse_size(self, n_lists: int) -> None:
        for setting, most, asked in (
            ("partitions", MOST_PARTITIONED, self.partitions),
            ("combinations", MOST_COMBINED, self.combinations),
        ):
            if asked and n_lists > most:
                raise SettingError(
                    f"{setting}=True tries every way to group {n_lists} lists, and the most it does is {most}; merge "
                    f"lists of the same kind first with merge_lists, or leave it at moves={MOVES}"
                )


def _sizes(least: int, most: int, single: bool, several: bool) -> list[int]:
    """Sizes of the sets of lists to move: the smallest, and with `several` all larger ones."""
    return [size for size in range(least, most + 1) if (single if size == least else several)] + (
        [least] if several and not single and least > 1 else []
    )


def _joined(lists: Sequence[str], chosen: tuple[str, ...]) -> Blocks:
    return tuple(
        chosen if name == chosen[0] else (name,) for name in lists if name == chosen[0] or name not in chosen
    )


def _named_move(move: str, moved: str) -> dict[str, Any]:
    what = {LEAVE_OUT: f"without {moved}", MERGE: f"{moved} merged"}.get(move, moved)
    return {"what": what, "move": move, "lists": moved}


def _moved_lists(move: str, lists: Sequence[str], blocks: Blocks) -> str:
    if move == LEAVE_OUT:
        kept = {name for block in blocks for name in block}
        return ", ".join(name for name in lists if name not in kept)
    if move == MERGE:
        return next(name for block, name in block_names(blocks).items() if len(block) > 1)
    return " | ".join(block_names(blocks).values())


def set_partitions(lists: Sequence[str]) -> Iterator[Blocks]:
    """Give every way to sort lists into groups, each group in the order of the lists.

    Examples
    --------
    >>> [len(list(set_partitions("abcdef"[:n]))) for n in range(1, 7)]
    [1, 2, 5, 15, 52, 203]
    """
    if not lists:
        yield ()
        return
    *others, last = lists
    for blocks in set_partitions(others):
        for at, block in enumerate(blocks):
            yield (*blocks[:at], (*block, last), *blocks[at + 1 :])
        yield (*blocks, (last,))


# --- another table, and the same estimator on it ---


def _moved(
    estimator: Estimator, table: CaptureTable, blocks: Blocks
) -> Callable[[], tuple[Estimator, CaptureTable]]:
    def make() -> tuple[Estimator, CaptureTable]:
        return regrouped_estimator(estimator, table, blocks), regrouped(table, blocks)

    return make


# --- in words ---


def _below(frame: pd.DataFrame, table: CaptureTable) -> "pd.Series[bool]":
    return has_number(frame) & (frame["n_hat"] < table.n_observed)


def influence_in_words(frame: pd.DataFrame, base: Estimate) -> str:
    """Say which list carries the estimate, which merger moves it, where it has no number, and where it is refuted."""
    known = has_number(frame)
    parts = [
        *_carrier(frame[known], base),
        _named("Those without one are", frame[~known]),
        _named(
            f"Below the {base.n_observed:,} persons seen on all lists, so known to be too small",
            frame[frame["below_observed"]],
        ),
    ]
    if (frame["move"] == LEAVE_OUT).any():
        parts.append(
            "Who is on a list alone becomes hidden when it is left out: fewer are observed, of the same population."
        )
    return " ".join(part for part in parts if part)


def _carrier(known: pd.DataFrame, base: Estimate) -> list[str]:
    if not math.isfinite(base.n_hat):
        return [f"The baseline has no number ({base.status}), so that no change can be told."]
    single = known[(known["move"] == LEAVE_OUT) & ~known["lists"].str.contains(", ", regex=False)]
    found = []
    for rows, form in (
        (single, "{lists} carries the estimate: without it N goes from {before} to {after} ({change})."),
        (known[known["move"] == MERGE], "Of the mergers {lists} moves N most, to {after} ({change})."),
    ):
        if len(rows):
            found.append(form.format(**_strongest(rows, base)))
    return found


def _strongest(rows: pd.DataFrame, base: Estimate) -> dict[str, str]:
    """Find the move that changes the logarithm of N most, with numbers."""
    row = rows.loc[np.log(rows["change"]).abs().idxmax()]
    width = abs(row["n_hat"] - base.n_hat)
    return {
        "lists": str(row["lists"]),
        "before": format_persons(base.n_hat, width),
        "after": format_persons(row["n_hat"], width),
        "change": f"{row['change']:.2g} times",
    }


def _named(what: str, rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    names = rows["what"].tolist()
    more = f"; and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{what}: {'; '.join(names[:MOST_NAMED])}{more}."
