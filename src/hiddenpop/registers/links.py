"""`Links`: who is behind every record, and the table that follows."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from hiddenpop._cells import COUNT, refuse_unknown
from hiddenpop._files import write_text
from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import SettingError, TableError
from hiddenpop.histories import MAX_LISTS, decode
from hiddenpop.reading import Reading
from hiddenpop.registers.registrations import TABLE, Registrations
from hiddenpop.registers.source import quoted
from hiddenpop.table import CaptureTable, Coverage, RNGLike

if TYPE_CHECKING:
    from hiddenpop.registers.quality import Audit, LinkQuality

__all__ = ["Links", "Pairs", "components"]


THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
RULES = ("first", "last", "mode")
UNITS = ("person", "person-year")
MOST_AT = 2**62
"""Above every day and number of a record put together, so that what stands before it decides first."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of records with the probability that one person is behind both.

    Attributes
    ----------
    left, right : ndarray of int64, shape (n,)
        Numbers (``id``) of the records, the smaller one left.
    probability : ndarray of float64, shape (n,)
    """

    left: Ints
    right: Ints
    probability: Floats

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.left)

    def where(self, kept: npt.NDArray[np.bool_]) -> "Pairs":
        """Keep some of the pairs."""
        return Pairs(self.left[kept], self.right[kept], self.probability[kept])


def components(n: int, left: Ints, right: Ints) -> Ints:
    """Give each record the number of its person, who is what links hold together, in the order of first records.

    Parameters
    ----------
    n : int
        Records.
    left, right : ndarray of int64
        Linked records.

    Returns
    -------
    ndarray of int64, shape (n,)

    Examples
    --------
    >>> components(4, np.array([0]), np.array([2])).tolist()
    [0, 1, 0, 2]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.int64)


@front_doors("at", "audit", "draw", "rates", "tabulate")
@dataclass(frozen=True, kw_only=True, eq=False)
class Links:
    """Records brought together to persons.

    Attributes
    ----------
    registrations : Registrations
    persons : ndarray of int64, shape (n,)
        Number of the person behind each record, by ``id`` of the record.
    linkage : Linkage
        The settings.
    pairs : Pairs or None
        Scored pairs, also those below the threshold; None where a key alone decides.
    threshold : float
        Probability from which a pair is one person.
    model : mapping
        What was estimated: chances of every level of agreement among pairs of one person (m) and of two (u). No
        value of a person is in it.
    notes : tuple of str
        Sentences on what could not be estimated.

    Notes
    -----
    `at` and `draw` give other links from the same pairs, so that a threshold and doubt can be looked at without linking
    again.
    """

    registrations: Registrations
    persons: Ints = field(repr=False)
    linkage: Any
    pairs: Pairs | None = field(default=None, repr=False)
    threshold: float = 1.0
    model: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def n_persons(self) -> int:
        """Persons on at least one record."""
        return int(self.persons.max()) + 1 if len(self.persons) else 0

    def __repr__(self) -> str:
        """Say how many records became how many persons."""
        return f"Links: {len(self.persons):,} records of {self.n_persons:,} persons, by {self.linkage!r}"

    def at(self, threshold: float) -> "Links":
        """Link from another probability on.

        Raises
        ------
        SettingError
            For links by a key alone, and a threshold that is not a probability or lies below what was kept.
        """
        pairs = self._scored("at")
        lowest = float(getattr(self.linkage, "keep", 0.0))
        if not lowest <= threshold <= 1.0:
            raise SettingError(
                f"threshold={threshold!r} must lie between {lowest:g} and 1; pairs below were not kept"
            )
        return replace(
            self,
            threshold=float(threshold),
            persons=self.linkage.persons(self.registrations, pairs, threshold),
        )

    def draw(self, rng: RNGLike = None) -> "Links":
        """Draw which pairs are one person, each with its probability, and bring the records together anew.

        Notes
        -----
        The draws show how far the probabilities of the pairs that were looked at leave the links open. Links that no
        blocking rule looked at are not among them, so that draws alone do not repair what was missed: correct for
        `rates` first.
        """
        pairs = self._scored("draw")
        kept = np.random.default_rng(rng).random(len(pairs)) < pairs.probability
        drawn = pairs.where(kept)
        return replace(self, persons=self.linkage.persons(self.registrations, drawn, 0.0))

    def _scored(self, verb: str) -> Pairs:
        if self.pairs is None:
            raise SettingError(
                f"links by a key alone have no probabilities, so {verb} has nothing to vary; use FellegiSunter"
            )
        return self.pairs

    @cached_property
    def without_key(self) -> "Links":
        """The same records linked with the key kept out of comparisons and of the search for pairs."""
        from hiddenpop.registers.quality import without_key

        return without_key(self)

    def audit(
        self, by: Sequence[str] | None = None, unit: Literal["person", "person-year"] = "person"
    ) -> "Audit":
        """Find which share of the links that the key proves is found without it.

        Parameters
        ----------
        by : sequence of str, optional
            Strata and codes among the link fields to standardise by; by default the codes other than places.
        unit : {"person", "person-year"}
            Whether links are counted for persons, or for persons in each period.

        Returns
        -------
        Audit

        Raises
        ------
        TableError
            Without a key, or where nobody with a key is in two registers.
        """
        from hiddenpop.registers.quality import audited

        return audited(self, by, unit)

    @cached_property
    def quality(self) -> "LinkQuality":
        """How good the links are as far as they tell by themselves."""
        from hiddenpop.registers.quality import measured

        return measured(self)

    def rates(
        self,
        by: Sequence[str] | None = None,
        *,
        unit: Literal["person", "person-year"] = "person",
        ratio: float = 1.0,
        n_boot: int = 200,
        rng: RNGLike = None,
    ) -> pd.DataFrame:
        """Estimate by register the chance that a record comes loose from its person, and that two persons are joined.

        Parameters
        ----------
        by : sequence of str, optional
            Strata and codes among the link fields within which links may be missed unlike; by default the codes other
            than places.
        unit : {"person", "person-year"}
            As the table is counted.
        ratio : float
            Chance to miss a link of a person without a key over that of one with a key, from 1 to 3; nothing in the
            data says what it is, so vary it.
        n_boot : int
            Resamples of persons for the uncertainty of the rates.
        rng : int, Generator or None

        Returns
        -------
        DataFrame
            Columns ``draw`` (0 is the estimate, then the resamples), ``register``, ``missed`` and ``false``, as
            `hiddenpop.kernels.linkage` takes them.

        Raises
        ------
        TableError
            Without a key there is nothing to audit by.
        """
        from hiddenpop.registers.quality import link_rates

        return link_rates(self, by, unit=unit, ratio=ratio, n_boot=n_boot, rng=rng)

    def tabulate(
        self,
        *,
        lists: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
        strata: Sequence[str] = (),
        unit: Literal["person", "person-year"] = "person",
        conflicts: str | Mapping[str, Any] = "first",
        units: Sequence[str] | None = None,
        coverage: Sequence[Coverage] = (),
        name: str = "registers",
        population: str = "",
        public: bool = False,
    ) -> CaptureTable:
        """Count the persons by the registers they are on.

        Parameters
        ----------
        lists : sequence of str, or mapping of str to sequences, optional
            Registers in the order wanted, or lists made of several registers; by default every register.
        strata : sequence of str
            Strata of the registrations, and ``"unit"`` for the period.
        unit : {"person", "person-year"}
            What is counted: persons, or persons in each period.
        conflicts : {"first", "last", "mode"} or sequence of str, or a mapping of these by stratum
            Which level counts where records of a person differ: the first or last by day, the most frequent (of equally
            frequent ones the first), or the first of the register whose word comes first in a sequence of registers.
        units : sequence of str, optional
            Only these periods.
        coverage : sequence of Coverage
            Lists that operate only in some strata.
        name, population : str
            Labels.
        public : bool
            Whether small counts may leave; registers are not public.

        Returns
        -------
        CaptureTable

        Raises
        ------
        UnknownNameError
            For a register or stratum that is not there.
        SettingError
            For a rule that does not exist.
        """
        if unit not in UNITS:
            raise SettingError(f"unit={unit!r}; choose {' or '.join(map(repr, UNITS))}")
        named = _lists(lists, self.registrations.registers)
        refuse_unknown("stratum", strata, (*self.registrations.strata, "unit"))
        if "unit" in strata and unit == "person":
            raise SettingError('strata=["unit"] counts persons by period; say unit="person-year" with it')
        cells = _cells(self, named, list(strata), unit, conflicts, units)
        if cells.empty:
            raise TableError("nobody is on these lists in these periods; name other registers or periods")
        marks = decode(cells["history"].to_numpy(np.int64), len(named))
        beside = cells[list(strata)].astype(str).assign(**{COUNT: cells["count"]})
        table = CaptureTable.from_counts(
            pd.concat([pd.DataFrame(marks.astype(np.int64), columns=list(named)), beside], axis=1),
            lists=list(named),
            strata=list(strata),
            name=name,
            population=population,
            public=public,
            coverage=coverage,
        )
        return replace(table, reading=_reading(self, named, strata, unit))

    def weights(self) -> pd.DataFrame:
        """Give the weight of every level of agreement, ``log2(m / u)``: one row per field and level, no values."""
        from hiddenpop.registers.fellegi_sunter import weights

        self._scored("weights")
        return pd.DataFrame(weights(self.model))

    def save_model(self, path: str | os.PathLike[str]) -> Path:
        """Write what was estimated as JSON, to be used again as ``FellegiSunter(model=path)``; no value is in it."""
        self._scored("save_model")
        write_text(json.dumps(dict(self.model), indent=2, sort_keys=True) + "\n", Path(path))
        return Path(path)

    def thresholds(self, thresholds: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
        """Say how many persons each threshold leads to, and how good the pairs of each are by their probabilities.

        Returns
        -------
        DataFrame
            ``threshold``, ``persons``, ``expected_precision`` and ``expected_recall``.
        """
        rows = []
        for threshold in thresholds:
            quality = self.at(threshold).quality
            rows.append({
                "threshold": threshold,
                "persons": quality.persons,
                "expected_precision": quality.expected_precision,
                "expected_recall": quality.expected_recall,
            })  # fmt: skip
        return pd.DataFrame(rows)

    def explain(self, first: tuple[str, str], second: tuple[str, str]) -> pd.DataFrame:
        """Say why two records were linked or not: the level of agreement of every field, and its weight.

        Parameters
        ----------
        first, second : tuple of str
            Register and number of a record.

        Returns
        -------
        DataFrame
            ``field``, ``level`` and ``weight``, before rare values weigh more; no value of a field.

        Raises
        ------
        TableError
            If there is no such record.
        """
        from hiddenpop.registers.fellegi_sunter import levels_of_pair

        self._scored("explain")
        return levels_of_pair(self, first, second)

    def sample(self, path: str | os.PathLike[str], *, n: int = 200, rng: RNGLike = None) -> Path:
        """Write pairs to be judged by somebody who may look the records up, spread over their probabilities.

        Parameters
        ----------
        path : path
            A csv file that only you can read: registers and numbers of two records, and the column ``same`` to be
            filled with 1 or 0. No name or date is in it.
        n : int
            Pairs, about as many from each range of probability.
        rng : int, Generator or None
            Which pairs.

        Returns
        -------
        Path
        """
        from hiddenpop.registers.quality import write_sample

        return write_sample(self, Path(path), n, rng)

    def judged(self, path: str | os.PathLike[str]) -> pd.DataFrame:
        """Read a judged sample back: by range of probability, what was told and what was found.

        Returns
        -------
        DataFrame
            ``probability``, ``told``, ``shown``, ``judged`` and ``pairs`` (of that range in all links).
        """
        from hiddenpop.registers.quality import read_sample

        return read_sample(self, Path(path))

    def conflicts(self, strata: Sequence[str] | None = None) -> pd.DataFrame:
        """Say for each stratum how many persons have records that differ in it.

        Returns
        -------
        DataFrame
            One row per stratum: ``several`` (persons with two records or more) and ``differ``.
        """
        chosen = self.registrations.strata if strata is None else tuple(strata)
        refuse_unknown("stratum", chosen, self.registrations.strata)
        rows = []
        with _persons(self) as source:
            for stratum in chosen:
                column = quoted(f"stratum_{stratum}")
                ((several, differ),) = self.registrations.connection.execute(
                    f"SELECT count(*) FILTER (n > 1), count(*) FILTER (low <> high) FROM (SELECT count(*) AS n, "
                    f"min({column}) AS low, max({column}) AS high FROM {source} GROUP BY person)"
                ).fetchall()
                rows.append({"stratum": stratum, "several": several, "differ": differ})
        return pd.DataFrame(rows, columns=["stratum", "several", "differ"])

    def describe(self) -> dict[str, Any]:
        """Say in plain data where the links come from: registers, settings, threshold, versions; nothing of anybody."""
        from importlib.metadata import version

        packages = ("duckdb", *(("splink",) if self.pairs is not None else ()))
        return {
            **dict(self.registrations.described),
            "linkage": repr(self.linkage),
            "threshold": self.threshold,
            "records": len(self.persons),
            "persons": self.n_persons,
            "notes": list(self.notes),
            "versions": {package: version(package) for package in packages},
        }


# --- tabulating ------------------------------------------------------------------------------------------------------


class _persons:  # noqa: N801 -- a context, used as a function
    """Join the persons to the records for the time of a query; gives what to select from."""

    def __init__(self, links: Links) -> None:
        self.links = links

    def __enter__(self) -> str:
        connection = self.links.registrations.connection
        numbers = pa.table(
            {"id": pa.array(np.arange(len(self.links.persons)), pa.int32()), "person": self.links.persons}
        )
        connection.register("persons_of_records", numbers)
        return f"(SELECT r.*, p.person FROM {TABLE} r JOIN persons_of_records p USING (id))"

    def __exit__(self, *_: object) -> None:
        self.links.registrations.connection.unregister("persons_of_records")


def _lists(given: Any, registers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Say which registers each list is made of."""
    named: dict[str, tuple[str, ...]]
    if given is None:
        named = {name: (name,) for name in registers}
    elif isinstance(given, Mapping):
        named = {str(name): tuple(parts) for name, parts in given.items()}
    else:
        named = {name: (name,) for name in given}
    for parts in named.values():
        refuse_unknown("register", parts, registers)
    twice = [name for parts in named.values() for name in parts]
    if repeated := sorted({name for name in twice if twice.count(name) > 1}):
        raise SettingError(f"register {repeated[0]!r} is part of two lists; put it on one")
    if not named:
        raise SettingError("lists names none; leave it out for every register")
    if len(named) > MAX_LISTS:
        raise SettingError(
            f"{len(named)} lists are more than {MAX_LISTS}; put registers of one kind together"
        )
    return named


def _literals(values: Sequence[str]) -> str:
    return ", ".join("'" + str(value).replace("'", "''") + "'" for value in values) or "NULL"


def _cells(
    links: Links,
    lists: Mapping[str, tuple[str, ...]],
    strata: list[str],
    unit: str,
    conflicts: str | Mapping[str, Any],
    units: Sequence[str] | None,
) -> pd.DataFrame:
    """Count persons by history and strata in one statement."""
    registers = links.registrations.registers
    bits = " ".join(
        f"WHEN register IN ({_literals(parts)}) THEN {1 << at}::BIGINT"
        for at, parts in enumerate(lists.values())
    )
    wanted = [f"register IN ({_literals([name for parts in lists.values() for name in parts])})"]
    if units is not None:
        wanted.append(f"unit IN ({_literals(units)})")
    keys = ["person", *(["unit"] if unit == "person-year" else [])]
    settled = [name for name in strata if name != "unit"]
    rules = {name: _rule(conflicts, name, registers) for name in settled}
    chosen = [_settled(name, rules[name]) for name in settled if rules[name] != "mode"]
    grouped = [*(["unit"] if "unit" in strata else []), *map(quoted, settled)]
    by, using = ", ".join(["history", *grouped]), ", ".join(keys)
    with _persons(links) as source:
        rows = (
            f"(SELECT *, CASE {bits} END AS bit, datediff('day', DATE '1900-01-01', day)::BIGINT * "
            f"4294967296 + id AS rank "
            f"FROM {source} WHERE {' AND '.join(wanted)})"
        )
        persons = (
            f"(SELECT {', '.join([*keys, 'bit_or(bit) AS history', *chosen])} FROM {rows} GROUP BY {using})"
        )
        modes = " ".join(
            f"JOIN {_modes(name, rows, using)} USING ({using})" for name in settled if rules[name] == "mode"
        )
        found: pd.DataFrame = links.registrations.connection.execute(
            f"SELECT {by}, count(*) AS count FROM {persons} {modes} GROUP BY {by} ORDER BY "
            f"{', '.join([*grouped, 'history'])}"
        ).df()
    return found


def _rule(conflicts: Any, stratum: str, registers: Sequence[str]) -> Any:
    rule = conflicts.get(stratum, "first") if isinstance(conflicts, Mapping) else conflicts
    if isinstance(rule, str):
        if rule not in RULES:
            raise SettingError(
                f"conflicts={rule!r}; choose {', '.join(map(repr, RULES))}, or name registers in order"
            )
        return rule
    refuse_unknown("register", rule, registers)
    return tuple(rule)


def _settled(stratum: str, rule: Any) -> str:
    """Give in SQL the level of a stratum that counts for a person, by the order of the records."""
    column = quoted(f"stratum_{stratum}")
    if rule in ("first", "last"):
        return f"{'arg_min' if rule == 'first' else 'arg_max'}({column}, rank) AS {quoted(stratum)}"
    ranks = " ".join(f"WHEN {_literals([name])} THEN {rank}" for rank, name in enumerate(rule))
    first = f"(CASE register {ranks} ELSE {len(rule)} END)::HUGEINT * {MOST_AT} + rank"
    return f"arg_min({column}, {first}) AS {quoted(stratum)}"


def _modes(stratum: str, rows: str, keys: str) -> str:
    """Give in SQL the most frequent level of every person; of equally frequent ones the first."""
    column = quoted(f"stratum_{stratum}")
    score = f"count(*)::HUGEINT * {MOST_AT} - min(rank)"
    counted = f"SELECT {keys}, {column} AS level, {score} AS score FROM {rows} GROUP BY ALL"
    return f"(SELECT {keys}, arg_max(level, score) AS {quoted(stratum)} FROM ({counted}) GROUP BY {keys})"


def _reading(links: Links, lists: Mapping[str, tuple[str, ...]], strata: Sequence[str], unit: str) -> Reading:
    """Say where a table comes from, in words that name no person."""
    made = [f"{name} is made of {', '.join(parts)}" for name, parts in lists.items() if parts != (name,)]
    how = "pseudonymised" if links.registrations.pseudonymised else "not pseudonymised"
    window = links.registrations.described["window"]
    notes = [
        f"the registrations were {how} and linked by {links.linkage!r}",
        *([f"registrations from {window[0]} to {window[1]}"] if window else []),
        f"a {unit} is counted once",
        *made,
    ]
    roles = {"register": "list name", **dict.fromkeys(strata, "stratum")}
    return Reading("registration", len(links.persons), links.n_persons, roles, tuple(notes))
