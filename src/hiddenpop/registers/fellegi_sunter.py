"""`FellegiSunter`: links by names, dates and codes that agree more or less, through Splink on DuckDB."""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._cells import refuse_unknown
from hiddenpop._files import parse_json
from hiddenpop._typing import Ints
from hiddenpop.errors import HiddenpopError, SettingError, TableError
from hiddenpop.extras import need
from hiddenpop.registers.links import Links, Pairs, components
from hiddenpop.registers.pseudonyms import kind_of, part_columns
from hiddenpop.registers.registrations import TABLE, Registrations
from hiddenpop.registers.source import quoted
from hiddenpop.table import RNGLike

__all__ = ["FellegiSunter"]

ROWS = "link_rows"
DIFFERENT_KEYS = 1e-9
"""Chance that one person has two keys that stand for a person: as good as none, so that such a pair is never linked."""

LEAST = {"m_probability": 1e-4, "u_probability": 1e-7}
"""No level of agreement is less likely than this: a few pairs cannot show that it never happens."""

EM_STEPS = (25, 8, 3)
"""Steps of EM, and how many to take where more lead to chances too small for a float."""

SAMPLED_PAIRS, TRAINING_PAIRS = 2e6, 2e6
"""Pairs that u is estimated from, and pairs that m is estimated from by each rule."""

CERTAIN_RECALL = 0.7
"""Share of the pairs of one person that agree on the key or on names and date of birth: sets the prior alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FellegiSunter:
    """Link records by the weight of what agrees, estimated without known links.

    Parameters
    ----------
    threshold : float
        Probability from which a pair of records is one person.
    compare : tuple of str, optional
        Link fields to compare; by default all.
    use_key : bool
        Whether the person key is compared, and used to find pairs. Two records with different keys are never one
        person.
    blocking : tuple of tuple of str, optional
        Only pairs that agree on all columns of a rule are looked at; by default rules by key, dates and names.
    keep : float
        Pairs of a lower probability are forgotten.
    most_pairs : int
        More pairs than this are refused before the work starts.
    one_per_register : bool
        Whether a person is at most once in a register and period. Only for registers without repeats: on registers that
        have them, it cuts links that are right.
    model : str, optional
        A file that `save_model` wrote: its chances are used and nothing is estimated.

    Notes
    -----
    The weight of a pair is the sum over fields of log2(m / u), with m the chance of its level of agreement among pairs
    of one person and u among pairs of two. u is counted in pairs taken at random, m by EM from pairs that agree on
    other fields; names and places that are rare weigh more. Fields are taken to err independently of each other, so
    that probabilities between 0.1 and 0.9 are trusted too much: see ``links.quality``.

    Twins and siblings agree on nearly everything but the first name, which no model of independent fields knows. First
    names that differ altogether are therefore taken as nearly impossible for one person, whatever the pairs say: the
    few such links that are right are lost, unless the key makes them.

    Same rows and settings give the same links, whatever the order of rows and the number of threads: samples are taken
    by a hash of the number of a record.

    References
    ----------
    Fellegi, I. P. and Sunter, A. B. (1969). A theory for record linkage. Journal of the American Statistical
    Association 64(328), 1183-1210. doi:10.1080/01621459.1969.10501049
    Linacre, R., Lindsay, S., Manassis, T., Slade, Z., Hepworth, T., Kennedy, R. and Bond, A. (2022). Splink: free
    software for probabilistic record linkage at scale. International Journal of Population Data Science 7(3).
    doi:10.23889/ijpds.v7i3.1794
    """

    threshold: float = 0.99
    compare: tuple[str, ...] | None = None
    use_key: bool = True
    blocking: tuple[tuple[str, ...], ...] | None = None
    keep: float = 0.01
    most_pairs: int = 200_000_000
    one_per_register: bool = False
    model: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise SettingError(f"threshold={self.threshold!r} must lie above 0 and up to 1, e.g. 0.99")
        if not 0.0 < self.keep <= self.threshold:
            raise SettingError(
                f"keep={self.keep!r} must lie above 0 and up to the threshold {self.threshold:g}"
            )
        if self.most_pairs < 1:
            raise SettingError(f"most_pairs={self.most_pairs!r} must be a whole number of at least 1")
        if self.compare is not None:
            object.__setattr__(self, "compare", tuple(self.compare))
        if self.blocking is not None:
            object.__setattr__(self, "blocking", tuple(tuple(rule) for rule in self.blocking))

    def fit(self, registrations: Registrations, *, rng: RNGLike = None) -> Links:
        """Link the records; nothing is drawn.

        Raises
        ------
        TableError
            If there is nothing to compare by, or no pair to learn from.
        SettingError
            If the rules ask for more pairs than allowed.
        MissingExtraError
            Without Splink.
        """
        need("splink", "linking by names and dates")
        fields = self._fields(registrations)
        rules = self._rules(registrations, fields)
        number = sum(_pairs_of_rule(registrations, rule) for rule in rules)
        if number > self.most_pairs:
            raise SettingError(
                f"the blocking rules ask for up to {number:,} pairs, more than "
                f"most_pairs={self.most_pairs:,}; add columns to "
                "the rules, or allow more"
            )
        with _splink_rows(registrations) as source:
            model, notes = self._model(source, registrations, fields, rules)
            pairs = _scored(source, model, self.keep)
        return Links(
            registrations=registrations,
            persons=self.persons(registrations, pairs, self.threshold),
            linkage=self,
            pairs=pairs,
            threshold=self.threshold,
            model=model,
            notes=tuple(notes),
        )

    def persons(self, registrations: Registrations, pairs: Pairs, threshold: float) -> Ints:
        """Bring together the records of pairs from a probability on; no person gets two keys."""
        linked = pairs.where(pairs.probability >= threshold)
        found = components(len(registrations), linked.left, linked.right)
        apart = _apart(registrations, use_key=self.use_key, one_per_register=self.one_per_register)
        return _kept_apart(found, linked, apart) if apart else found

    def _fields(self, registrations: Registrations) -> tuple[str, ...]:
        fields = registrations.link if self.compare is None else self.compare
        refuse_unknown("link field", fields, registrations.link)
        if not fields:
            raise TableError(
                "there are no link fields to compare; name them under link of a register, or use KeyLinkage"
            )
        return tuple(fields)

    def _has_key(self, registrations: Registrations) -> bool:
        return self.use_key and registrations.has_key

    def _rules(self, registrations: Registrations, fields: Sequence[str]) -> list[tuple[str, ...]]:
        """Give the columns of each rule that finds pairs."""
        if self.blocking is not None:
            for rule in self.blocking:
                refuse_unknown("column", rule, registrations.columns)
            return list(self.blocking)
        wanted = [
            ("key",),
            ("birth_date", "first_name_initial"),
            ("birth_date", "last_name_initial"),
            ("birth_date", "place"),
            ("birth_date_sorted", "last_name_initial"),
            ("first_name", "last_name"),
            ("last_name", "birth_date_year"),
            ("last_name_sound", "first_name_initial", "birth_date_year"),
            ("first_name", "birth_date_year", "place"),
            ("last_name", "first_name_initial", "place"),
        ]
        there = {part for name in fields for part in part_columns(name)} | (
            {"key"} if self._has_key(registrations) else set()
        )
        rules = [rule for rule in wanted if set(rule) <= there]
        return rules or [(name,) for name in fields if kind_of(name) != "code"] or [tuple(fields)]

    def _model(
        self,
        source: Any,
        registrations: Registrations,
        fields: Sequence[str],
        rules: Sequence[tuple[str, ...]],
    ) -> tuple[dict[str, Any], list[str]]:
        if self.model is not None:
            return _read_model(self.model, registrations), []
        settings = _settings(registrations, fields, rules, with_key=self._has_key(registrations))
        return _trained(source, settings, registrations, fields)


# --- what is compared ------------------------------------------------------------------------------------------------


def _level(condition: str, label: str, **more: Any) -> dict[str, Any]:
    return {"sql_condition": condition, "label_for_charts": label, **more}


def _null(*columns: str) -> dict[str, Any]:
    missing = " OR ".join(f'"{column}_{side}" IS NULL' for column in columns for side in "lr")
    return _level(missing, "not known", is_null_level=True)


def _same(column: str) -> str:
    return f'"{column}_l" = "{column}_r"'


def _shares(column: str) -> str:
    return f'list_has_any("{column}_l", "{column}_r")'


def _either_missing(column: str) -> str:
    return f'("{column}_l" IS NULL OR "{column}_r" IS NULL)'


ELSE = _level("ELSE", "differ")


def _name_levels(field: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    levels = [
        _null(f"{field}_initial"),
        _level(_same(field), "same", tf_adjustment_column=field),
        _level(_shares(f"{field}_near"), "one letter apart, or a part in common"),
        _level(_same(f"{field}_sound"), "sound alike"),
    ]
    if {"first_name", "last_name"} <= set(fields):
        swapped = '("first_name_l" = "last_name_r" OR "last_name_l" = "first_name_r")'
        levels.append(_level(swapped, "first and last name exchanged"))
    one_letter = f"{_either_missing(field)} AND {_same(f'{field}_initial')}"
    return [*levels, _level(one_letter, "initial only"), ELSE]


def _date_levels(field: str) -> list[dict[str, Any]]:
    return [
        _null(f"{field}_year"),
        _level(_same(field), "same"),
        _level(_same(f"{field}_sorted"), "day and month exchanged"),
        _level(_shares(f"{field}_near"), "one of year, month and day differs"),
        _level(f"{_either_missing(field)} AND {_same(f'{field}_year')}", "year only, and the same"),
        ELSE,
    ]


def _code_levels(field: str) -> list[dict[str, Any]]:
    return [_null(field), _level(_same(field), "same", tf_adjustment_column=field), ELSE]


def _key_levels(n: int) -> list[dict[str, Any]]:
    chance = 1.0 / max(n, 10)
    fixed = {"fix_m_probability": True, "fix_u_probability": True}
    return [
        _null("key"),
        _level(_same("key"), "same", m_probability=1.0 - DIFFERENT_KEYS, u_probability=chance, **fixed),
        _level("ELSE", "differ", m_probability=DIFFERENT_KEYS, u_probability=1.0 - chance, **fixed),
    ]


def _comparison(field: str, fields: Sequence[str]) -> dict[str, Any]:
    kind = kind_of(field)
    levels = (
        _name_levels(field, fields)
        if kind == "name"
        else _date_levels(field)
        if kind == "date"
        else _code_levels(field)
    )
    return {"output_column_name": field, "comparison_levels": levels}


def _settings(
    registrations: Registrations, fields: Sequence[str], rules: Sequence[tuple[str, ...]], *, with_key: bool
) -> dict[str, Any]:
    comparisons = [_comparison(name, fields) for name in fields]
    if with_key:
        comparisons.append(
            {"output_column_name": "key", "comparison_levels": _key_levels(len(registrations))}
        )
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "id",
        "comparisons": comparisons,
        "blocking_rules_to_generate_predictions": [
            {"blocking_rule": _joined(rule), "sql_dialect": "duckdb"} for rule in rules
        ],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
    }


def _joined(rule: Sequence[str]) -> str:
    return " AND ".join(f'l."{column}" = r."{column}"' for column in rule)


def _pairs_of_rule(registrations: Registrations, rule: Sequence[str]) -> int:
    """Count the pairs that agree on the columns of a rule."""
    columns = ", ".join(map(quoted, rule))
    known = " AND ".join(f"{quoted(column)} IS NOT NULL" for column in rule)
    ((number,),) = registrations.connection.execute(
        f"SELECT coalesce(sum(n * (n - 1) // 2), 0) FROM (SELECT count(*)::HUGEINT AS n FROM {TABLE} WHERE {known} "
        f"GROUP BY {columns})"
    ).fetchall()
    return int(number)


# --- Splink ----------------------------------------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Splink from writing to the log: its lines hold statements, and it brings a handler of its own."""
    logger = logging.getLogger("splink")
    level, spread = logger.level, logger.propagate
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate = spread


@contextmanager
def _splink_rows(registrations: Registrations) -> Iterator[Any]:
    """Give Splink the rows to link, and take away what it made."""
    from splink.backends.duckdb import DuckDBAPI

    connection = registrations.connection
    parts = [part for name in registrations.link for part in part_columns(name)]
    columns = ", ".join(map(quoted, ["id", "key", *parts]))
    connection.execute(f"CREATE OR REPLACE VIEW {ROWS} AS SELECT {columns} FROM {TABLE}")
    before = _tables(connection)
    with _quiet():
        database = DuckDBAPI(connection=connection)
        try:
            yield database.register(ROWS, dataset_display_name=ROWS)
        except HiddenpopError:
            raise
        except Exception as error:  # Splink's own words are its statement
            raise TableError(
                f"these registrations cannot be linked so: Splink stopped ({type(error).__name__}); compare "
                f"fewer fields, or "
                "see whether a field is empty"
            ) from error
        finally:
            connection.execute(f"DROP VIEW {ROWS}")
            for name, kind in _tables(connection) - before:
                connection.execute(f"DROP {kind} IF EXISTS {quoted(name)}")


def _tables(connection: Any) -> set[tuple[str, str]]:
    found = connection.execute(
        "SELECT table_name, CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END FROM information_schema.tables"
    ).fetchall()
    return {(str(name), str(kind)) for name, kind in found}


def _trained(
    source: Any, settings: Mapping[str, Any], registrations: Registrations, fields: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Estimate the prior, u and m; say what could not be estimated."""
    certain = [
        rule for rule in _certain_rules(settings, registrations) if _pairs_of_rule(registrations, rule)
    ]
    if not certain:
        raise TableError(
            "no two records agree on the key or on names and date of birth, so that there is nothing to "
            "learn from; see "
            "whether the columns are those that they are said to be"
        )
    model = _counted(source, dict(settings), certain)
    learnt, notes = [], []
    for rule in _training_rules(fields, registrations):
        found, steps = _learnt(source, model, rule)
        learnt.append(found)
        if steps < EM_STEPS[0]:
            notes.append(
                f"EM on pairs with the same {' and '.join(rule)} was stopped after {steps} steps: few pairs"
            )
    unseen = _filled(model, learnt)
    return model, [*notes, *unseen]


def _counted(source: Any, settings: dict[str, Any], certain: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Estimate the prior by pairs that are surely right, and u by pairs taken at random."""
    from splink import Linker

    linker = Linker(source, settings, log_level=None)
    linker.training.estimate_probability_two_random_records_match(
        list(map(_joined, certain)), recall=CERTAIN_RECALL
    )
    linker.training.estimate_u_using_random_sampling(
        max_pairs=SAMPLED_PAIRS, min_count_per_level=None, num_chunks=1
    )
    model: dict[str, Any] = linker.misc.save_model_to_json()
    return model


def _learnt(source: Any, model: Mapping[str, Any], rule: Sequence[str]) -> tuple[dict[str, Any], int]:
    """Estimate m among the pairs of a rule by EM, each rule from one start; fewer steps where m falls to 0."""
    from splink import Linker

    for steps in EM_STEPS:
        linker = Linker(source, {**json.loads(json.dumps(model)), "max_iterations": steps}, log_level=None)
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                _joined(rule), estimate_without_term_frequencies=True, max_pairs=TRAINING_PAIRS
            )
        except ValueError:  # the chance of a level that few pairs show has fallen below what a float holds
            if steps == EM_STEPS[-1]:
                raise
        else:
            return linker.misc.save_model_to_json(), steps
    raise TableError("EM found no chances of agreement")


def _certain_rules(settings: Mapping[str, Any], registrations: Registrations) -> list[tuple[str, ...]]:
    names = {comparison["output_column_name"] for comparison in settings["comparisons"]}
    wanted = [("key",), ("first_name", "last_name", "birth_date")]
    found = [rule for rule in wanted if set(rule) <= names]
    return found or [tuple(name for name in registrations.link if name in names)]


def _training_rules(fields: Sequence[str], registrations: Registrations) -> list[tuple[str, ...]]:
    """Give rules that find pairs of one person among others, and between them leave every field free once."""
    wanted = [("birth_date",), ("first_name", "last_name"), ("last_name", "place")]
    found = [rule for rule in wanted if set(rule) <= set(fields) and set(rule) < set(fields)]
    found = found or [(name,) for name in fields if len(fields) > 1 and kind_of(name) != "code"]
    rules = [rule for rule in found if _pairs_of_rule(registrations, rule)]
    if not rules:
        raise TableError(
            "no two records agree on a date of birth or on names, so that there is nothing to learn from"
        )
    return rules


def _filled(model: dict[str, Any], learnt: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give every level its m, the mean over the rules that could learn it; say which levels no pair showed."""
    notes = []
    model.pop("linker_uid", None)
    for at, comparison in enumerate(model["comparisons"]):
        levels = comparison["comparison_levels"]
        for place, level in enumerate(levels):
            others = [
                other["comparisons"][at]["comparison_levels"][place].get("m_probability") for other in learnt
            ]
            known = [max(m, LEAST["m_probability"]) for m in others if isinstance(m, float)]
            if known and not level.get("fix_m_probability"):
                level["m_probability"] = sum(known) / len(known)
        told = [level for level in levels if not level.get("is_null_level")]
        for what in LEAST:
            unseen = [level for level in told if not isinstance(level.get(what), float)]
            if unseen:
                labels = ", ".join(repr(level["label_for_charts"]) for level in unseen)
                field = comparison["output_column_name"]
                notes.append(f"{what[0]} of {field} was not estimated for {labels}: no pair showed it")
            _complete(told, unseen, what)
        if comparison["output_column_name"] == "first_name":
            told[-1]["m_probability"] = LEAST["m_probability"]  # twins and siblings, see Notes
    return notes


def _complete(levels: Sequence[dict[str, Any]], unseen: Sequence[dict[str, Any]], what: str) -> None:
    """Fill in what no pair showed, and let no level be impossible."""
    likely = levels[0] if what == "m_probability" else levels[-1]
    for level in unseen:  # where nothing is known: of one person mostly the same, of two mostly not
        nothing = len(unseen) == len(levels)
        level[what] = (0.9 if level is likely else 0.1 / max(len(levels) - 1, 1)) if nothing else LEAST[what]
    for level in levels:
        if not level.get(f"fix_{what}"):
            level[what] = max(level[what], LEAST[what])


def _scored(source: Any, model: Mapping[str, Any], keep: float) -> Pairs:
    """Score every pair that a rule finds."""
    from splink import Linker

    linker = Linker(source, json.loads(json.dumps(model)), log_level=None)
    predicted = linker.inference.predict(threshold_match_probability=keep, warning_mode="never")
    found = (
        source.db_api._con.cursor()
        .execute(f"SELECT id_l, id_r, match_probability FROM {predicted.physical_name} ORDER BY id_l, id_r")
        .fetchnumpy()
    )
    left, right = (np.asarray(found[name], dtype=np.int64) for name in ("id_l", "id_r"))
    # Sums over fields are taken in another order by another number of threads; what is beyond 12 digits is that.
    return Pairs(left, right, np.asarray(found["match_probability"], dtype=np.float64).round(12))


# --- persons ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Apart:
    """What cannot be of one person: two codes of one kind (keys), or one code twice (a register and period)."""

    codes: Ints
    twice: bool

    def torn(self, persons: Ints) -> Ints:
        """Name the persons who have what one person cannot have."""
        known = np.flatnonzero(self.codes >= 0)
        pairs, times = np.unique(np.stack([persons[known], self.codes[known]]), axis=1, return_counts=True)
        if self.twice:
            return np.unique(pairs[0][times > 1])
        owners, different = np.unique(pairs[0], return_counts=True)
        return np.asarray(owners[different > 1])

    def clash(self, one: set[int], other: set[int]) -> bool:
        """Say whether two groups of codes cannot be of one person."""
        return bool(one & other) if self.twice else len(one | other) > 1


def _apart(registrations: Registrations, *, use_key: bool, one_per_register: bool) -> list[_Apart]:
    """Say what keeps records apart."""
    found = []
    if use_key and registrations.has_key:
        found.append(_Apart(_codes(registrations, "key"), twice=False))
    if one_per_register:
        found.append(_Apart(_codes(registrations, "register || chr(10) || unit"), twice=True))
    return found


def _codes(registrations: Registrations, expression: str) -> Ints:
    codes = registrations.connection.execute(
        f"SELECT CASE WHEN {expression} IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY {expression}) END AS code "
        f"FROM {TABLE} ORDER BY id"
    ).fetchnumpy()["code"]
    return np.asarray(codes, dtype=np.int64)


def _kept_apart(persons: Ints, linked: Pairs, apart: Sequence[_Apart]) -> Ints:
    """Link anew, the surest pairs first, whoever has what one person cannot have; a pair that would make it is left."""
    torn = np.unique(np.concatenate([rule.torn(persons) for rule in apart]))
    again = np.isin(persons, torn)
    if not again.any():
        return persons
    touched = np.flatnonzero(again[linked.left])
    order = touched[np.lexsort((linked.right[touched], linked.left[touched], -linked.probability[touched]))]
    leader = {int(record): int(record) for record in np.flatnonzero(again)}
    held = [{record: {int(rule.codes[record])} - {-1} for record in leader} for rule in apart]

    def root(record: int) -> int:
        while leader[record] != record:
            leader[record] = leader[leader[record]]
            record = leader[record]
        return record

    for at in order:
        one, other = sorted((root(int(linked.left[at])), root(int(linked.right[at]))))
        if one == other or any(
            rule.clash(codes[one], codes[other]) for rule, codes in zip(apart, held, strict=True)
        ):
            continue
        leader[other] = one
        for codes in held:
            codes[one] |= codes.pop(other)
    _, first = np.unique(persons, return_index=True)
    owner = first[persons]
    for record in leader:
        owner[record] = root(record)
    _, at_first, numbers = np.unique(owner, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(at_first))[numbers], dtype=np.int64)


def _read_model(path: str, registrations: Registrations) -> dict[str, Any]:
    """Read a model that was saved, and see that what it compares is there."""
    try:
        model: dict[str, Any] = parse_json(Path(path).read_text("utf-8"))
        names = [comparison["output_column_name"] for comparison in model["comparisons"]]
    except OSError as error:
        raise SettingError(f"cannot read the model {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"{path} is not a model of links; write one with links.save_model(path)"
        ) from error
    refuse_unknown("link field", [name for name in names if name != "key"], registrations.link)
    return model


def weights(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the match weight of every level of agreement, log2(m / u).

    Returns
    -------
    list of dict
        ``field``, ``level``, ``m``, ``u`` and ``weight``.
    """
    return [
        {
            "field": comparison["output_column_name"],
            "level": level["label_for_charts"],
            "m": level["m_probability"],
            "u": level["u_probability"],
            "weight": math.log2(level["m_probability"] / level["u_probability"]),
        }
        for comparison in model["comparisons"]
        for level in comparison["comparison_levels"]
        if not level.get("is_null_level")
    ]


def levels_of_pair(links: Links, first: tuple[str, str], second: tuple[str, str]) -> pd.DataFrame:
    """Give the level of agreement of every field of two records, with its weight (see `Links.explain`)."""
    connection = links.registrations.connection
    ids = []
    for register, record in (first, second):
        found = connection.execute(
            f"SELECT id FROM {TABLE} WHERE register = ? AND record = ?", [str(register), str(record)]
        ).fetchall()
        if not found:
            raise TableError(
                f"register {register!r} has no such record; give its name and the number of a record"
            )
        ids.append(int(found[0][0]))
    parts = [part for name in links.registrations.link for part in part_columns(name)]
    columns = ", ".join(
        f'{side}.{quoted(part)} AS "{part}_{side}"' for part in ("key", *parts) for side in "lr"
    )
    cases = []
    for comparison in links.model["comparisons"]:
        whens = [
            f"WHEN {level['sql_condition']} THEN {at}"
            for at, level in enumerate(comparison["comparison_levels"])
            if level["sql_condition"] != "ELSE"
        ]
        cases.append(f"CASE {' '.join(whens)} ELSE {len(comparison['comparison_levels']) - 1} END")
    left, right = sorted(ids)
    ((*at,),) = connection.execute(
        f"SELECT {', '.join(cases)} FROM (SELECT {columns} FROM {TABLE} l, {TABLE} r WHERE l.id = {left} "
        f"AND r.id = {right})"
    ).fetchall()
    rows = []
    for comparison, place in zip(links.model["comparisons"], at, strict=True):
        level = comparison["comparison_levels"][place]
        weight = (
            0.0 if level.get("is_null_level") else math.log2(level["m_probability"] / level["u_probability"])
        )
        rows.append(
            {"field": comparison["output_column_name"], "level": level["label_for_charts"], "weight": weight}
        )
    return pd.DataFrame(rows)
