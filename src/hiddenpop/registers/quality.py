"""How good links are: what they tell by themselves, an audit by the key, and rates of missed and false links."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from hiddenpop._cells import refuse_unknown
from hiddenpop._files import csv_text, read_file, write_text
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import SettingError, TableError
from hiddenpop.registers.links import Links
from hiddenpop.registers.pseudonyms import kind_of
from hiddenpop.registers.registrations import TABLE
from hiddenpop.registers.source import quoted
from hiddenpop.table import RNGLike

__all__ = [
    "Audit",
    "LinkQuality",
    "audited",
    "link_rates",
    "measured",
    "read_sample",
    "without_key",
    "write_sample",
]

Unit = Literal["person", "person-year"]

BORROWED = 20.0
"""Pairs by which the recall of a cell is drawn to that of its group, and that of a group to that of all: few pairs say
little by themselves."""

LOWEST_RECALL = 0.05
SAMPLE = ("first_register", "first_record", "second_register", "second_record", "same")
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1.0)
HIGHEST_RATIO = 10.0
RIDGE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class LinkQuality:
    """What links tell of themselves.

    Attributes
    ----------
    records, persons : int
    expected_precision, expected_recall : float
        By the probabilities of the pairs: of the pairs linked, the share that is right; of the pairs of one person
        among those looked at, the share linked. nan for links by a key alone. Fields do not err independently, so that
        probabilities between 0.1 and 0.9 are trusted too much, and pairs that no rule found are not counted.
    sizes : DataFrame
        Persons by number of records: ``records`` and ``persons``.
    two_keys, two_births : int
        Persons with two keys, and with two years of birth.
    notes : tuple of str
    """

    records: int
    persons: int
    expected_precision: float
    expected_recall: float
    sizes: pd.DataFrame = field(repr=False)
    two_keys: int
    two_births: int
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give the figures as a tidy row."""
        names = [entry.name for entry in fields(self) if entry.name not in ("sizes", "notes")]
        return pd.DataFrame([{name: getattr(self, name) for name in names}])


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """Links that the key proves, and which of them are found without it.

    Attributes
    ----------
    unit : {"person", "person-year"}
        Whether a pair of registers is looked at for a person, or for a person and period.
    by : tuple of str
        What the groups are made of.
    pairs : DataFrame
        ``first``, ``second`` (registers), ``group``, ``proven`` and ``found`` by the audit, and of the links themselves
        ``with_key`` (pairs whose records both have the key) and ``without_key``.
    recall : float
        Share of the links of records with a key that is found without it, standardised to all records by group.
    wrong : float
        Share of the pairs linked without the key whose two keys differ.
    calibration : DataFrame
        By range of the probability: mean ``told`` and the share ``shown`` by the key, with the number of pairs.
    persons : DataFrame
        What `pairs` adds up, by person without a name; for resampling.

    Notes
    -----
    The key is kept out of the comparisons and of the rules that find pairs: left in the rules it finds for the audit
    what it could not find elsewhere. The recall holds for records with a key. Missed links are above all those of
    persons without one; how many more of theirs are missed is not in the data, and is the setting ``ratio`` of
    ``links.rates``.
    """

    unit: Unit
    by: tuple[str, ...]
    pairs: pd.DataFrame
    recall: float
    wrong: float
    calibration: pd.DataFrame
    persons: pd.DataFrame = field(repr=False)


def measured(links: Links) -> LinkQuality:
    """Measure links by themselves."""
    sizes, persons = np.unique(np.bincount(links.persons), return_counts=True)
    precision, recall = _expected(links)
    births = "birth_date_year" if "birth_date" in links.registrations.link else ""
    return LinkQuality(
        records=len(links.persons),
        persons=links.n_persons,
        expected_precision=precision,
        expected_recall=recall,
        sizes=pd.DataFrame({"records": sizes, "persons": persons}),
        two_keys=_several(links, "key"),
        two_births=_several(links, births) if births else 0,
        notes=links.notes,
    )


def _expected(links: Links) -> tuple[float, float]:
    if links.pairs is None:
        return float("nan"), float("nan")
    together = links.persons[links.pairs.left] == links.persons[links.pairs.right]
    sure, all_of_them = links.pairs.probability[together], links.pairs.probability.sum()
    precision = float(sure.mean()) if sure.size else float("nan")
    return precision, float(sure.sum() / all_of_them) if all_of_them > 0 else float("nan")


class _Numbered:
    """Put numbers beside the records for the time of a query."""

    def __init__(self, links: Links, **columns: Ints) -> None:
        self.connection, self.columns = links.registrations.connection, columns

    def __enter__(self) -> str:
        n = len(next(iter(self.columns.values())))
        table = pa.table({"id": pa.array(np.arange(n), pa.int32()), **self.columns})
        self.connection.register("numbers_of_records", table)
        return f"(SELECT r.*, {', '.join(self.columns)} FROM {TABLE} r JOIN numbers_of_records USING (id))"

    def __exit__(self, *_: object) -> None:
        self.connection.unregister("numbers_of_records")


def _several(links: Links, column: str) -> int:
    with _Numbered(links, person=links.persons) as source:
        ((number,),) = links.registrations.connection.execute(
            f"SELECT count(*) FROM (SELECT person FROM {source} GROUP BY person HAVING count(DISTINCT "
            f"{quoted(column)}) > 1)"
        ).fetchall()
    return int(number)


# --- the audit -------------------------------------------------------------------------------------------------------


def without_key(links: Links) -> Links:
    """Link again without the key."""
    if not links.registrations.has_key:
        raise TableError(
            "no register has a person key, so that nothing proves a link; write a sample of pairs for "
            "clerical review with "
            "links.sample(path) instead"
        )
    linkage = links.linkage
    if not hasattr(linkage, "use_key"):
        raise SettingError(
            f"{linkage!r} links by the key alone, so that the key cannot audit it; use FellegiSunter"
        )
    if not linkage.use_key:
        return links
    blocking = linkage.blocking and tuple(rule for rule in linkage.blocking if "key" not in rule)
    keyless: Links = replace(linkage, use_key=False, blocking=blocking or None, model=None).fit(
        links.registrations
    )
    return keyless.at(links.threshold)


def audited(links: Links, by: Sequence[str] | None = None, unit: Unit = "person") -> Audit:
    """Audit links by the key.

    Parameters
    ----------
    links : Links
    by : sequence of str, optional
        Strata, and codes among the link fields; by default the codes other than places.
    unit : {"person", "person-year"}

    Returns
    -------
    Audit

    Raises
    ------
    TableError
        Without a key, or where no person with a key is in two registers.
    """
    groups = _groups(links, by)
    other = links.without_key
    proven = _proven(links, other, groups, unit)
    if proven.empty:
        raise TableError("no person with a key is in two registers, so that the key proves no link")
    cells = ["first", "second", "group"]
    pairs = proven.groupby(cells, as_index=False)[["proven", "found"]].sum()
    linked = _linked(links, groups, unit)
    pairs = pairs.merge(linked, on=cells, how="outer").fillna(0.0)
    recall = _recall(pairs)
    weight = pairs["with_key"] + pairs["without_key"]
    wrong, calibration = _by_key(other)
    return Audit(
        unit,
        tuple(groups),
        pairs,
        float(np.average(recall, weights=weight)) if weight.sum() else float("nan"),
        wrong,
        calibration,
        proven,
    )


def _groups(links: Links, by: Sequence[str] | None) -> dict[str, str]:
    """Give the columns that groups are made of."""
    registrations = links.registrations
    codes = [name for name in registrations.link if kind_of(name) == "code"]
    known = {**{name: name for name in codes}, **{name: f"stratum_{name}" for name in registrations.strata}}
    refuse_unknown("stratum or code", by or (), known)
    return {name: known[name] for name in (codes if by is None else by)}


def _group(groups: dict[str, str]) -> str:
    """Write the group of a person in SQL, by the first record."""
    parts = [f"coalesce(CAST(arg_min({quoted(column)}, id) AS VARCHAR), '')" for column in groups.values()]
    return f"hash({' || chr(10) || '.join(parts)})" if parts else "0::UBIGINT"


def _keys(unit: Unit) -> str:
    return "unit, " if unit == "person-year" else ""


def _proven(links: Links, other: Links, groups: dict[str, str], unit: Unit) -> pd.DataFrame:
    """Give by person and pair of registers whether the key proves a link, and whether it is found without the key."""
    u = _keys(unit)
    with _Numbered(links, found=other.persons) as source:
        rows: pd.DataFrame = links.registrations.connection.execute(
            f"""
            WITH known AS (SELECT * FROM {source} WHERE key IS NOT NULL),
            grouped AS (SELECT {u}key, {_group(groups)} AS grp FROM known GROUP BY {u}key),
            held AS (SELECT DISTINCT {u}key, register, found FROM known),
            pairs AS (
                SELECT {u}key, a.register AS first, b.register AS second, bool_or(a.found = b.found) AS met
                FROM held a JOIN held b USING ({u}key) WHERE a.register < b.register
                GROUP BY {u}key, first, second
            )
            SELECT dense_rank() OVER (ORDER BY key) AS person, first, second, grp AS "group", count(*) AS proven,
                count(*) FILTER (met) AS found
            FROM pairs JOIN grouped USING ({u}key)
            GROUP BY key, first, second, grp ORDER BY person, first, second, grp
            """
        ).df()
    return rows


def _linked(links: Links, groups: dict[str, str], unit: Unit) -> pd.DataFrame:
    """Count the pairs of registers in which a person is, those proven by the key apart."""
    u = _keys(unit)
    with _Numbered(links, person=links.persons) as source:
        rows: pd.DataFrame = links.registrations.connection.execute(
            f"""
            WITH known AS (SELECT * FROM {source}),
            grouped AS (SELECT {u}person, {_group(groups)} AS grp FROM known GROUP BY {u}person),
            held AS (
                SELECT {u}person, register, bool_or(key IS NOT NULL) AS has_key FROM known GROUP BY {u}person, register
            )
            SELECT a.register AS first, b.register AS second, grp AS "group",
                count(*) FILTER (a.has_key AND b.has_key) AS with_key,
                count(*) FILTER (NOT (a.has_key AND b.has_key)) AS without_key
            FROM held a JOIN held b USING ({u}person) JOIN grouped USING ({u}person)
            WHERE a.register < b.register
            GROUP BY ALL ORDER BY ALL
            """
        ).df()
    return rows


def _recall(pairs: pd.DataFrame) -> Floats:
    """Give the recall of each cell, drawn to that of its group where the cell holds few pairs."""
    proven, found = (pairs[name].to_numpy(np.float64) for name in ("proven", "found"))
    overall = found.sum() / proven.sum()
    sums = pairs.groupby("group")[["proven", "found"]].transform("sum").to_numpy(np.float64)
    of_group = (sums[:, 1] + BORROWED * overall) / (sums[:, 0] + BORROWED)
    return np.asarray((found + BORROWED * of_group) / (proven + BORROWED))


def _by_key(other: Links) -> tuple[float, pd.DataFrame]:
    """Hold the pairs that were scored without the key against the key."""
    if other.pairs is None:
        raise SettingError("links by a key alone have no probabilities to hold against the key")
    codes = other.registrations.connection.execute(
        f"SELECT CASE WHEN key IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY key) END AS code FROM "
        f"{TABLE} ORDER BY id"
    ).fetchnumpy()["code"]
    left, right = codes[other.pairs.left], codes[other.pairs.right]
    known = (left >= 0) & (right >= 0)
    frame = pd.DataFrame(
        {"told": other.pairs.probability[known], "shown": (left == right)[known].astype(float)}
    )
    linked = frame[frame["told"] >= other.threshold]
    wrong = 1.0 - float(linked["shown"].mean()) if len(linked) else 0.0
    ranges = pd.cut(frame["told"], BINS, include_lowest=True)
    found = frame.groupby(ranges, observed=True).agg(
        told=("told", "mean"), shown=("shown", "mean"), pairs=("shown", "size")
    )
    return wrong, found.rename_axis("probability").reset_index().astype({"probability": str})


# --- rates -----------------------------------------------------------------------------------------------------------


def link_rates(
    links: Links, by: Sequence[str] | None, *, unit: Unit, ratio: float, n_boot: int, rng: RNGLike
) -> pd.DataFrame:
    """Estimate rates of missed and false links by register, with resamples of persons (see `Links.rates`).

    Notes
    -----
    A pair of registers in which the links have K persons by the key and U others should have ``K + U / c``, with c the
    share found of the links of persons without a key: ``c = 1 - ratio (1 - recall)`` by group. Links that do not use
    the key miss its persons too, ``K / recall``. Records come loose
    independently, so that ``(1 - r_i) (1 - r_j) = (K + U) / (K + U / c)``; the chances r are fitted to all pairs by
    least squares of logarithms, weighted by pairs.
    """
    if not 1.0 <= ratio <= HIGHEST_RATIO:
        raise SettingError(f"ratio={ratio!r} must lie between 1 and {HIGHEST_RATIO:g}; 1 to 3 are usual")
    audit = audited(links, by, unit)
    registers = links.registrations.registers
    generator = np.random.default_rng(rng)
    by_key = bool(links.linkage.use_key)  # then the key itself finds the links of records that have it
    draws = [_rates_of(audit.pairs, registers, ratio, by_key=by_key)]
    persons, cells, counts = _per_person(audit)
    for _ in range(n_boot):
        weight = generator.poisson(1.0, persons.max() + 1)[persons].astype(np.float64)
        resampled = audit.pairs.copy()
        for name in ("proven", "found"):
            resampled[name] = np.bincount(cells, weight * counts[name], minlength=len(resampled))
        draws.append(
            _rates_of(resampled, registers, ratio, by_key=by_key) if resampled["proven"].sum() else draws[0]
        )
    false = _false_rate(links, audit)
    return pd.DataFrame(
        {
            "draw": np.repeat(np.arange(len(draws)), len(registers)),
            "register": list(registers) * len(draws),
            "missed": np.concatenate(draws),
            "false": false,
        }
    )


def _per_person(audit: Audit) -> tuple[npt.NDArray[np.int64], Ints, dict[str, Floats]]:
    """Give for each person and cell the counts, with the place of the cell in `audit.pairs`."""
    place = audit.pairs.reset_index(names="cell")[["first", "second", "group", "cell"]]
    rows = audit.persons.merge(place, on=["first", "second", "group"], how="left", validate="many_to_one")
    counts = {name: rows[name].to_numpy(np.float64) for name in ("proven", "found")}
    return rows["person"].to_numpy(np.int64), rows["cell"].to_numpy(np.int64), counts


def _rates_of(pairs: pd.DataFrame, registers: Sequence[str], ratio: float, *, by_key: bool) -> Floats:
    """Turn recall by cell into the chance of each register that a record comes loose."""
    from scipy.optimize import nnls

    recall = np.maximum(_recall(pairs), LOWEST_RECALL)
    found = np.maximum(1.0 - ratio * (1.0 - recall), LOWEST_RECALL)
    with_key, without = (pairs[name].to_numpy(np.float64) for name in ("with_key", "without_key"))
    place = {name: at for at, name in enumerate(registers)}
    first, second = (pairs[name].map(place).to_numpy(np.int64) for name in ("first", "second"))
    n = len(registers)
    cell = first * n + second
    seen = np.bincount(cell, with_key + without, minlength=n * n)
    proven = with_key if by_key else with_key / recall
    there = np.bincount(cell, proven + without / found, minlength=n * n)
    at = np.flatnonzero(seen > 0.0)
    weight = np.sqrt(there[at])
    design = weight[:, None] * (np.eye(n)[at // n] + np.eye(n)[at % n])
    target = weight * np.log(there[at] / seen[at])
    # Two registers give one equation for two chances: a little weight on small chances makes them equal.
    loose, _ = nnls(np.vstack([design, RIDGE * np.eye(n)]), np.concatenate([target, np.zeros(n)]))
    return np.asarray(1.0 - np.exp(-loose))


def _false_rate(links: Links, audit: Audit) -> float:
    """Give the share of pairs of persons that are joined when all are paired at random."""
    joined = audit.wrong * float(audit.pairs["without_key"].sum())
    return min(2.0 * joined / max(links.n_persons, 1), 0.49)


# --- judged by people ------------------------------------------------------------------------------------------------


def write_sample(links: Links, path: Path, n: int, rng: RNGLike) -> Path:
    """Write pairs for clerical review (see `Links.sample`)."""
    if links.pairs is None:
        raise SettingError("links by a key alone have no pairs to judge; use FellegiSunter")
    if n < 1:
        raise SettingError(f"n={n!r} pairs cannot be judged; give a whole number of at least 1")
    generator = np.random.default_rng(rng)
    bins = np.digitize(links.pairs.probability, BINS[1:-1], right=True)
    there = np.unique(bins)
    chosen = [
        generator.permutation(np.flatnonzero(bins == at))[: -(-n // len(there))] for at in there.tolist()
    ]
    at = np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64)
    names = links.registrations.connection.execute(f"SELECT register, record FROM {TABLE} ORDER BY id").df()
    left, right = (
        names.iloc[ids[at]].reset_index(drop=True) for ids in (links.pairs.left, links.pairs.right)
    )
    frame = pd.concat([left.add_prefix("first_"), right.add_prefix("second_")], axis=1).assign(same="")
    write_text(csv_text(frame), path, private=True)
    return path


def read_sample(links: Links, path: Path) -> pd.DataFrame:
    """Read a judged sample (see `Links.judged`)."""
    if links.pairs is None:
        raise SettingError("links by a key alone have no pairs to judge; use FellegiSunter")
    frame = read_file(path, ("first_register", "first_record", "second_register", "second_record"))
    refuse_unknown("column", SAMPLE, map(str, frame.columns))
    same = pd.to_numeric(frame["same"], errors="coerce")
    wrong = frame["same"].notna() & ~same.isin([0, 1])
    if wrong.any():
        raise TableError(
            f"{path}, row {int(wrong.to_numpy().argmax()) + 1}: same must be 1, 0 or empty; correct it"
        )
    names = links.registrations.connection.execute(f"SELECT id, register, record FROM {TABLE}").df()
    number = {(str(r), str(k)): int(i) for i, r, k in names.itertuples(index=False, name=None)}
    ends = [
        [
            number.get(pair, -1)
            for pair in zip(frame[f"{side}_register"], frame[f"{side}_record"].astype(str), strict=True)
        ]
        for side in ("first", "second")
    ]
    if min(map(min, ends), default=0) < 0:
        raise TableError(
            f"{path} names records that are not in these registers; judge a sample of these links"
        )
    probability = dict(
        zip(
            zip(links.pairs.left.tolist(), links.pairs.right.tolist(), strict=True),
            links.pairs.probability,
            strict=True,
        )
    )
    told = [probability.get((min(a, b), max(a, b)), np.nan) for a, b in zip(*ends, strict=True)]
    judged = pd.DataFrame({"told": told, "shown": same}).dropna()
    labels = pd.IntervalIndex.from_breaks(list(BINS), closed="right")
    by = pd.cut(judged["told"], labels)
    found = judged.groupby(by, observed=True).agg(
        told=("told", "mean"), shown=("shown", "mean"), judged=("shown", "size")
    )
    number_of = pd.Series(pd.cut(pd.Series(links.pairs.probability), labels)).value_counts()
    found["pairs"] = [int(number_of[at]) for at in found.index]
    return found.rename_axis("probability").reset_index().astype({"probability": str})
