"""`release`: everything that would leave, judged together, and what of it may be shown."""

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._files import csv_text
from hiddenpop._typing import Bools, Floats
from hiddenpop.disclosure.answers import LEVELS, Court, Printed, Resolver, judge_answers, read_printed
from hiddenpop.disclosure.earlier import Disclosed, brought_onto, plain_disclosed, with_earlier
from hiddenpop.disclosure.linear import Knowledge, Need, infer, joined
from hiddenpop.disclosure.marks import ends_of, legend, rounded_ends
from hiddenpop.disclosure.primary import group_disclosed, small_count, unsafe_magnitude
from hiddenpop.disclosure.rounding import controlled_rounding, conventional_rounding
from hiddenpop.disclosure.rules import OTHER_MARK, ReleaseRules
from hiddenpop.disclosure.suppression import Numbers, TooNarrowError, suppress
from hiddenpop.disclosure.tables import Base, OutputTable, Releasable
from hiddenpop.errors import SettingError, UnknownNameError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Release", "prices", "release"]

Places = npt.NDArray[np.int64]
Record = TypeVar("Record", bound=Releasable)

WATERMARK = "NOT PROTECTED: small numbers are shown. This must not leave."

REMEDY_SIZE = 2000
"""Up to so many numbers it is tried which release would pass; above, that would take as long as the release itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Small:
    """The small numbers of a base: what to call each, which sum it is, what it needs, and the base as it is."""

    labels: tuple[str, ...]
    matrix: "csr_array[Any]"
    need: Need
    base: Base

    def onto(self, base: Base, groups: Bools, rules: ReleaseRules) -> "Small":
        """Add the small cells of a finer base, and small differences between groups that outputs are about."""
        from scipy.sparse import vstack

        own = self.matrix if base is self.base else (self.matrix @ self.base.onto(base)).tocsr()
        more = [_small_cells(base, rules), _apart(list(groups), base, rules)]
        matrix, _ = _distinct(vstack([own, *more], format="csr"))
        fresh = matrix.shape[0] - own.shape[0]
        nothing = np.zeros(fresh)
        return replace(
            self,
            base=base,
            labels=(*self.labels, *(_label(base, matrix, own.shape[0] + k) for k in range(fresh))),
            matrix=matrix,
            need=replace(
                self.need,
                down=np.concatenate([self.need.down, nothing]),
                up=np.concatenate([self.need.up, nothing]),
                width=np.concatenate([self.need.width, nothing + rules.width]),
            ),
        )

    def court(self, rules: ReleaseRules, resolve: Resolver | None, pool: Sequence[Floats] = ()) -> Court:
        """Give what answers about the base are judged against."""
        return Court(
            base=self.base,
            small=self.matrix,
            need=self.need,
            rules=rules,
            resolve=resolve,
            pool=list(pool),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Release:
    """What may be shown of everything that was asked for, with what an outsider could infer from all of it.

    Attributes
    ----------
    rules : ReleaseRules
    frames : mapping of str to DataFrame
        What may be shown, by name of output table, with marks in place of numbers that may not.
    knowledge : mapping of str to Disclosed
        By base, what an outsider knows: for later releases. It holds the base counts; it stays inside.
    audit : DataFrame
        A row for every small number: what it is, the interval it is in for an outsider, at least, how many of its
        values are witnessed where answers are shown, and whether that is enough. Inside only.
    account : DataFrame
        A row for every number: as it is, as it is shown, and by which rule. For the checker; inside only.
    log : tuple of str
        What was decided, in words that hold no withheld number.
    small : mapping of str to Small
        By base, the small numbers that the audit is about. Inside only.
    witnesses : mapping of str to ndarray, shape (tables, b)
        By base, other tables of counts that give all that is shown. Inside only.
    resolve : callable or None
    unprotected : bool
        Whether everything is shown.
    """

    rules: ReleaseRules
    frames: Mapping[str, pd.DataFrame]
    knowledge: Mapping[str, Disclosed] = field(repr=False)
    audit: pd.DataFrame = field(repr=False)
    account: pd.DataFrame = field(repr=False)
    log: tuple[str, ...]
    small: Mapping[str, Small] = field(repr=False)
    witnesses: Mapping[str, Floats] = field(repr=False)
    resolve: Resolver | None = field(default=None, repr=False)
    unprotected: bool = False

    @property
    def legend(self) -> str:
        """What the marks say; it goes along with every release."""
        return WATERMARK if self.unprotected else legend(self.rules)

    @property
    def passed(self) -> bool:
        """Whether every small number is as open as the rules ask."""
        return bool(self.audit["open"].all())

    def view(self, record: Record) -> Record:
        """Give the same record with what may be shown: whatever is written, plotted or worded is made of this.

        Parameters
        ----------
        record : Releasable
            One of those that the release was made of.

        Returns
        -------
        Releasable
            Of the same type.

        Raises
        ------
        UnknownNameError
            If the record has numbers that were not judged in this release.
        SettingError
            If the release does not pass: then nothing of it is shown.
        """
        self._check()
        names = [table.name for table in record.output_tables()]
        missing = [name for name in names if name not in self.frames]
        if missing:
            raise UnknownNameError(
                f"{missing[0]!r} was not judged in this release; make one release of everything that leaves"
            )
        return record.released({name: self.frames[name] for name in names})

    def against(self, *earlier: Mapping[str, Disclosed]) -> pd.DataFrame:
        """Audit this release together with earlier ones, given by their `knowledge`.

        Parameters
        ----------
        *earlier : mapping of str to Disclosed
            As `read_knowledge` gives them.

        Returns
        -------
        DataFrame
            As `audit`, for an outsider who has them all.

        Raises
        ------
        SettingError
            If an earlier release is about base cells that this one does not have.
        """
        found = []
        for name, small in self.small.items():
            base = small.base
            for one in earlier:
                if name in one:
                    base = _finer(base, _base_again(name, one[name], base))
            told = with_earlier(brought_onto(self.knowledge[name], base), base, *earlier)
            wider = small.onto(base, told.groups, self.rules)
            pool = list(self.witnesses[name]) if base is small.base else []
            found.append(_audited(name, told, wider, wider.court(self.rules, self.resolve, pool)))
        return pd.concat(found, ignore_index=True) if found else self.audit

    def _check(self) -> None:
        if not (self.passed or self.unprotected):
            narrow = int((~self.audit["open"]).sum())
            raise SettingError(
                f"{narrow} small numbers follow too narrowly from what would be shown; nothing is shown or written: "
                f"show fewer tables, or make the release again without what earlier ones have told"
            )

    def files(self) -> dict[str, str]:
        """Give the text of every file that may leave, by name: a csv a table, the legend and the rules.

        Raises
        ------
        SettingError
            If a small number is not open enough.
        """
        self._check()
        files = {f"{_file_name(name)}.csv": _as_text(frame) for name, frame in self.frames.items()}
        if len({name.casefold() for name in files}) < len(self.frames) or "release.json" in files:
            raise SettingError(
                "two outputs would have one file name; give them names that differ in letters or digits"
            )
        about = {"rules": self.rules.to_dict(), "legend": self.legend, "unprotected": self.unprotected}
        if self.unprotected:
            files = {name: f"# {WATERMARK}\n{text}" for name, text in files.items()}
        return {**files, "release.json": json.dumps(about, indent=2) + "\n"}

    def write(self, folder: str | Path) -> Path:
        """Write what may leave: a csv a table, the legend and the rules, all of it or nothing.

        Parameters
        ----------
        folder : str or Path
            Must not exist.

        Returns
        -------
        Path

        Raises
        ------
        SettingError
            If a small number is not open enough, or the folder exists.
        """
        return _written(Path(folder), self.files(), private=False)

    def write_inside(self, folder: str | Path) -> Path:
        """Write what the checker needs, and what later releases are audited with: readable by its owner alone.

        Parameters
        ----------
        folder : str or Path
            Must not exist.

        Returns
        -------
        Path
        """
        files = {
            "STAYS-INSIDE.txt": "This folder holds unprotected numbers. It must not leave.\n",
            "account.csv": _as_text(self.account),
            "audit.csv": _as_text(self.audit),
            "log.txt": "".join(f"{line}\n" for line in self.log),
            "knowledge.json": plain_disclosed(self.knowledge),
        }
        for name, tables in self.witnesses.items():
            columns = {f"witness {k + 1}": table for k, table in enumerate(tables)}
            base = self.small[name].base
            frame = base.frame.assign(**{"count": base.counts, **columns})
            files[f"witnesses-{_file_name(name)}.csv"] = _as_text(frame)
        return _written(Path(folder), files, private=True)


def release(
    items: Sequence[Releasable],
    rules: ReleaseRules | None = None,
    *,
    earlier: Sequence[Mapping[str, Disclosed]] = (),
    resolve: Resolver | None = None,
    unprotected: bool = False,
) -> Release:
    """Judge everything that would leave together, and withhold what tells too much of a small number.

    Parameters
    ----------
    items : sequence of Releasable
        Everything that leaves: records with `output_tables`, or output tables.
    rules : ReleaseRules, optional
        ``cbs-like-1`` by default.
    earlier : sequence of mapping
        The `knowledge` of releases that have left before.
    resolve : callable, optional
        From the plain data in `recompute` to a function of base counts; without it answers that are not known to
        depend on a few sums alone are withheld.
    unprotected : bool
        Show everything, with a watermark.

    Returns
    -------
    Release

    Raises
    ------
    SettingError
        If two outputs have one name, two bases of one name differ, or what would be shown tells too much; then the
        message says what would pass.

    Notes
    -----
    Small numbers are withheld by the primary rules. Every small base cell counts, shown or not, and so does a small
    group of persons that one output is about and another is not (7 = 68 - 61). Then further numbers of any of the
    tables are withheld, at the least cost, until an outsider who knows every number shown, every mark, and every
    earlier release, finds an interval that is wide enough for each of them. At the end the frames are read as an
    outsider reads them, and audited once more.

    Bases of one name are brought onto the finest of them: a table with a list left out, or with groups put together, is
    judged with the table that it was made from.

    Examples
    --------
    >>> base = Base(
    ...     name="city", frame=pd.DataFrame({"town": ["a", "b", "c", "d"]}), counts=np.array([3, 40, 25, 60])
    ... )
    >>> found = release([OutputTable.of_counts("by town", base, ["town"])])
    >>> found.frames["by town"]["count"].tolist(), found.legend
    (['<10', 40, '.', 60, 128], '<10 = 1 to 9; . = withheld to protect another number')
    """
    rules = rules or ReleaseRules()
    tables = [table for item in items for table in item.output_tables()]
    _check_names(tables)
    try:
        return _released(tables, rules, earlier, resolve, unprotected)
    except TooNarrowError as error:
        advice = _what_would_pass(tables, rules, earlier, resolve)
        raise SettingError(f"nothing is released: {error}. {advice}") from error


def _what_would_pass(
    tables: list[OutputTable],
    rules: ReleaseRules,
    earlier: Sequence[Mapping[str, Disclosed]],
    resolve: Resolver | None,
) -> str:
    """Name the smallest change that makes a release pass, where trying is quick."""
    if sum(len(table.frame) for table in tables) > REMEDY_SIZE:
        return "Show fewer tables, or larger groups"
    named = replace(rules, name=f"{rules.name}, changed")
    tables = [table for table in tables if table.kind != "answers"]  # at worst these are withheld
    ways: list[tuple[str, list[OutputTable], ReleaseRules]] = []
    if rules.protection == "withhold" and rules.marks == "small":
        ways.append(("one mark for all that is withheld (marks='one')", tables, replace(named, marks="one")))
    if rules.protection == "round":
        ways += [
            (f"rounding to base {base} (rounding={base})", tables, replace(named, rounding=base))
            for base in (10, 15, 20, 25, 50, 100)
            if base > rules.rounding
        ]
    counted = [table for table in tables if table.kind != "safe"]
    if len(counted) > 1:
        ways += [
            (f"everything but {one.name!r}", [table for table in tables if table is not one], rules)
            for one in reversed(counted)
        ]
    for words, some, settings in ways:
        try:
            _released(some, settings, earlier, resolve, False)
        except SettingError:
            continue
        return f"This would pass: {words}"
    return "Neither other marks nor one output less would pass; show larger groups, or fewer tables"


def _released(
    tables: Sequence[OutputTable],
    rules: ReleaseRules,
    earlier: Sequence[Mapping[str, Disclosed]],
    resolve: Resolver | None,
    unprotected: bool,
) -> Release:
    bases = _bases(tables, earlier)
    tables = [table if table.base is None else table.onto(bases[table.base.name]) for table in tables]
    frames = {table.name: table.frame for table in tables if table.kind == "safe"}
    account: list[tuple[Any, ...]] = []
    log: list[str] = [WATERMARK] if unprotected else []
    knowledge, small, witnesses, audits = {}, {}, {}, []
    for name, base in bases.items():
        room = _Room.of(base, tables, rules, () if unprotected else earlier)
        shown = room.protected(unprotected)
        answers = [table for table in room.all if table.kind == "answers"]
        small[name] = room.small()
        court = small[name].court(rules, resolve)
        linear: frozenset[str] = frozenset()
        if unprotected:
            mine = {**shown.frames, **{table.name: table.frame for table in answers}}
        else:
            counts = _read_back(room, shown.frames, linear, rules, False)
            before = with_earlier(counts, base, *earlier)
            judged = judge_answers(answers, before.linear, court, before.printed)
            mine, linear = {**shown.frames, **judged.frames}, judged.linear
            account += judged.account
            log += judged.log
        knowledge[name] = _read_back(room, mine, linear, rules, unprotected)
        told = knowledge[name] if unprotected else with_earlier(knowledge[name], base, *earlier)
        if unprotected:
            audits.append(_audited(name, replace(told, printed=()), small[name], court))
        else:
            audits.append(_audited(name, told, small[name], court))
        tables_found = court.pool if told.printed else []
        witnesses[name] = np.array(tables_found).reshape(len(tables_found), base.counts.size)
        frames |= mine
        account += shown.account
        log += shown.log
    audit = pd.concat(audits, ignore_index=True) if audits else pd.DataFrame(columns=list(AUDIT))
    if not (unprotected or audit["open"].all()):
        raise TooNarrowError(
            f"{int((~audit['open'].astype(bool)).sum())} small numbers follow too narrowly from what would be shown"
        )
    return Release(
        rules=rules,
        frames={table.name: frames[table.name] for table in tables},
        knowledge=knowledge,
        audit=audit,
        account=pd.DataFrame(account, columns=list(ACCOUNT)),
        log=tuple(log),
        small=small,
        witnesses=witnesses,
        resolve=resolve,
        unprotected=unprotected,
    )


AUDIT = ("base", "cell", "number", "low", "high", "width", "witnessed", "open")
ACCOUNT = ("output", "row", "number", "persons", "shown", "rule")


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    frames: dict[str, pd.DataFrame]
    account: list[tuple[Any, ...]]
    log: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Room:
    """The numbers of all tables of one base, each sum once; small base cells are among them, shown or not."""

    base: Base
    all: list[OutputTable]
    tables: list[OutputTable]
    rows: list[Places]
    numbers: Numbers
    rule: list[str]
    rules: ReleaseRules

    @classmethod
    def of(
        cls,
        base: Base,
        tables: Sequence[OutputTable],
        rules: ReleaseRules,
        earlier: Sequence[Mapping[str, Disclosed]],
    ) -> "_Room":
        from scipy.sparse import vstack

        every = [table for table in tables if table.kind != "safe" and _base_of(table).name == base.name]
        mine = [table for table in every if table.kind in {"counts", "magnitudes"}]
        cells = _small_cells(base, rules)
        before = [brought_onto(one[base.name], base) for one in earlier if base.name in one]
        apart = _apart([*_groups(every), *(group for one in before for group in one.groups)], base, rules)
        matrix, place = _distinct(vstack([cells, apart, *map(_matrix_of, mine)], format="csr"))
        ends = np.cumsum([0, cells.shape[0] + apart.shape[0], *(len(table.frame) for table in mine)])
        own, *rows = [place[start:stop] for start, stop in itertools.pairwise(ends)]
        rule = [""] * matrix.shape[0]
        numbers = _numbers(base, matrix, rules)
        for k in own:
            rule[k] = "small"
        for table, at in zip(mine, rows, strict=True):
            _judge(table, at, numbers.amounts, numbers.need, rule, rules)
        for k in np.flatnonzero(matrix @ base.protected.astype(float) == 0):
            rule[k] = ""
        numbers = _with_marks(_with_needs(numbers, rule, rules), rows, rules)
        numbers = replace(numbers, shown=_rounded_ends(numbers.amounts, mine, rows, rules))
        for one in before:
            numbers = _with_earlier(numbers, one.linear)
        return cls(base, every, mine, rows, numbers, rule, rules)

    def protected(self, unprotected: bool) -> _Shown:
        """Withhold what must be, and give the frames that may be shown."""
        numbers = self.numbers
        withheld = np.zeros(numbers.primary.size, dtype=bool)
        values = None
        if self.rules.protection == "round" and not unprotected:
            values = self._rounded()
        elif not unprotected:
            withheld = suppress(numbers, exact_up_to=self.rules.exact_up_to).withheld
        frames, account = {}, []
        for table, at in zip(self.tables, self.rows, strict=True):
            truth = table.frame[table.value].tolist()
            shown = truth
            if values is not None:
                shown = values[at].tolist()
            elif table.rounded and not unprotected:
                shown = conventional_rounding(table.numbers, self.rules.rounding).tolist()
            marks = [self._mark(int(k), bool(withheld[k])) for k in at]
            shown = [value if mark is None else mark for value, mark in zip(shown, marks, strict=True)]
            frames[table.name] = table.frame.assign(
                **{table.value: pd.Series(shown, index=table.frame.index)}
            )
            persons = self._persons(table)
            for row, (k, value, one) in enumerate(zip(at, truth, shown, strict=True)):
                rule = (self.rule[k] or "protects another") if withheld[k] else ""
                rule = rule or ("rounded" if one != value else "")
                account.append((table.name, row, value, persons[row], one, rule))
        first = int(numbers.primary.sum())
        second = int((withheld & ~numbers.start).sum())
        log = [
            f"{self.base.name}: {len(self.tables)} tables of counts; numbers below the rules: {first}; "
            + (f"withheld to protect them: {second}" if values is None else "all rounded together")
        ]
        return _Shown(frames, account, log)

    def _rounded(self) -> Places:
        """Round all numbers together; what is not a count cannot be."""
        other = [table.name for table in self.tables if table.kind == "magnitudes"]
        if other:
            raise SettingError(
                f"output {other[0]!r} holds amounts, which are not rounded together with counts; use "
                f"protection='withhold'"
            )
        seen = np.unique(np.concatenate([*self.rows, np.zeros(0, dtype=np.int64)]))
        values = np.zeros(self.numbers.primary.size, dtype=np.int64)
        part = self.numbers.matrix[seen]
        values[seen] = controlled_rounding(part, self.base.counts, self.rules.rounding).numbers
        return values

    def _persons(self, table: OutputTable) -> list[int]:
        if table.kind == "magnitudes":
            return [part.size for part in table.contributions]
        return [round(value) for value in table.numbers]

    def _mark(self, k: int, withheld: bool) -> str | None:
        if not withheld:
            return None
        value = self.numbers.amounts[k]
        counts_small = self.base.whole and 0 < value < self.rules.threshold
        return self.rules.small_mark if counts_small else OTHER_MARK

    def small(self) -> Small:
        """Give the small numbers, what each needs, and what to call it."""
        at = np.flatnonzero(self.numbers.primary)
        return Small(
            labels=tuple(_label(self.base, self.numbers.matrix, int(k)) for k in at),
            matrix=self.numbers.matrix[at],
            need=self.numbers.need.at(at),
            base=self.base,
        )


def _label(base: Base, matrix: "csr_array[Any]", k: int) -> str:
    cells = matrix.indices[matrix.indptr[k] : matrix.indptr[k + 1]]
    if cells.size != 1:
        return f"sum of {cells.size} cells, number {k}"
    row = base.frame.iloc[int(cells[0])]
    return ", ".join(f"{name}={value}" for name, value in row.items())


def _small_cells(base: Base, rules: ReleaseRules) -> "csr_array[Any]":
    from scipy.sparse import csr_array, eye_array

    small = small_count(base.counts, rules) & base.protected & base.whole
    return csr_array(eye_array(base.counts.size, format="csr")[np.flatnonzero(small)])


def _groups(tables: Sequence[OutputTable]) -> list[Bools]:
    return list({table.about.tobytes(): table.about for table in tables}.values())


def _apart(groups: Sequence[Bools], base: Base, rules: ReleaseRules) -> "csr_array[Any]":
    """Give the small groups of persons that one output is about and another is not: their difference tells of them."""
    from scipy.sparse import csr_array

    about = list({group.tobytes(): group for group in groups if base.whole}.values())
    rows = [one & ~other for one, other in itertools.permutations(about, 2)]
    small = [row for row in rows if 0 < base.counts[row].sum() < rules.threshold]
    return csr_array(np.array(small, dtype=np.float64).reshape(len(small), base.counts.size))


def _rounded_ends(
    values: Floats, tables: Sequence[OutputTable], rows: Sequence[Places], rules: ReleaseRules
) -> tuple[Floats, Floats] | None:
    """Say between which ends each number is for who sees it: the number itself where any table shows it so."""
    rounded = np.zeros(values.size, dtype=bool)
    for table, at in zip(tables, rows, strict=True):
        rounded[at] |= table.rounded
    for table, at in zip(tables, rows, strict=True):
        rounded[at] &= table.rounded
    if not rounded.any():
        return None
    low, high = rounded_ends(conventional_rounding(values, rules.rounding), rules)
    return np.where(rounded, low, values), np.where(rounded, high, values)


def _read_back(
    room: _Room,
    frames: Mapping[str, pd.DataFrame],
    linear: frozenset[str],
    rules: ReleaseRules,
    unprotected: bool,
) -> Disclosed:
    """Read the frames as an outsider does: every number, every mark, every answer."""
    from scipy.sparse import csr_array, vstack

    base = room.base
    matrices: list[csr_array[Any]] = [csr_array((0, base.counts.size))]
    lows, highs = [np.zeros(0)], [np.zeros(0)]
    printed: list[Printed] = []
    for table in [table for table in room.all if table.name in frames]:
        shown = frames[table.name][table.value].tolist()
        if table.kind == "answers":
            one = read_printed(table, shown, rules)
            if one is not None and table.matrix is not None and _by_its_sums(table, one, linear):
                sums = table.matrix @ base.counts  # whatever its digits, it tells no more than these
                matrices.append(table.matrix)
                lows.append(sums)
                highs.append(sums)
            elif one is not None:
                printed.append(one)
            continue
        ends = [
            (float(one), float(one)) if unprotected else ends_of(one, table, base, rules) for one in shown
        ]
        matrices.append(_matrix_of(table))
        lows.append(np.array([one[0] for one in ends]))
        highs.append(np.array([one[1] for one in ends]))
    known = Knowledge(
        cells=base.cells,
        matrix=vstack(matrices, format="csr"),
        lower=np.concatenate(lows),
        upper=np.concatenate(highs),
        floor=_floor(base, rules),
        ceiling=np.where(base.protected, np.inf, base.counts),
        whole=base.whole,
    )
    groups = _groups([table for table in room.all if table.name in frames])
    return Disclosed(
        frame=base.frame,
        linear=_without_doubles(known),
        printed=tuple(printed),
        groups=np.array(groups, dtype=bool).reshape(len(groups), base.counts.size),
        counts=base.counts,
    )


def _by_its_sums(table: OutputTable, printed: Printed, linear: frozenset[str]) -> bool:
    """Tell an answer that is judged by the sums it depends on, not by witnesses."""
    return table.name in linear or not table.recompute or printed.level == LEVELS[0]


def _floor(base: Base, rules: ReleaseRules) -> Floats:
    """Give the least that everybody knows of each base cell: himself, where the rules think of that."""
    own = (base.counts > 0) if rules.own_record and base.whole else np.zeros(base.counts.size, dtype=bool)
    return np.where(base.protected, own.astype(np.float64), base.counts)


def _without_doubles(known: Knowledge) -> Knowledge:
    """Say each fact once."""
    matrix, place = _distinct(known.matrix)
    low, high = np.full(matrix.shape[0], -np.inf), np.full(matrix.shape[0], np.inf)
    np.maximum.at(low, place, known.lower)
    np.minimum.at(high, place, known.upper)
    return replace(known, matrix=matrix, lower=low, upper=high)


def _audited(name: str, told: Disclosed, small: Small, court: Court) -> pd.DataFrame:
    """Audit all that is known, linear facts and printed answers, for every small number."""
    truth = small.base.counts
    found = infer(told.linear, small.matrix, truth, small.need)
    is_open, witnessed = found.open, found.different
    if told.printed and len(small.labels):
        court.asked.clear()
        search = court.open(told.linear, told.printed)
        is_open, witnessed = is_open & search.open(), search.different()
        court.pool = search.tables
    return pd.DataFrame(
        {
            "base": name,
            "cell": small.labels,
            "number": small.matrix @ truth,
            "low": found.low,
            "high": found.high,
            "width": found.high - found.low,
            "witnessed": witnessed,
            "open": is_open,
        },
        columns=list(AUDIT),
    )


def audit_frames(
    items: Sequence[Releasable],
    frames: Mapping[str, pd.DataFrame],
    rules: ReleaseRules | None = None,
    *,
    earlier: Sequence[Mapping[str, Disclosed]] = (),
    resolve: Resolver | None = None,
) -> pd.DataFrame:
    """Audit frames as they stand, whoever made them: what an outsider could infer who has them all.

    Parameters
    ----------
    items : sequence of Releasable
        What the frames are about, with the numbers as they are.
    frames : mapping of str to DataFrame
        What is shown, by name of output table.
    rules : ReleaseRules, optional
    earlier : sequence of mapping
        The `knowledge` of releases that have left before.
    resolve : callable, optional

    Returns
    -------
    DataFrame
        As `Release.audit`.

    Raises
    ------
    SettingError
        If a frame shows what is not true of the table, or answers cannot be worked out for other counts.
    """
    rules = rules or ReleaseRules()
    tables = [table for item in items for table in item.output_tables()]
    bases = _bases(tables, earlier)
    tables = [table if table.base is None else table.onto(bases[table.base.name]) for table in tables]
    found = []
    for name, base in bases.items():
        room = _Room.of(base, tables, rules, earlier)
        told = with_earlier(_read_back(room, frames, frozenset(), rules, False), base, *earlier)
        small = room.small()
        found.append(_audited(name, told, small, small.court(rules, resolve)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(AUDIT))


def prices(
    items: Sequence[Releasable],
    rules: ReleaseRules | None = None,
    *,
    beside: Sequence[Releasable] = (),
    earlier: Sequence[Mapping[str, Disclosed]] = (),
    resolve: Resolver | None = None,
) -> pd.DataFrame:
    """Say before the choice what each of several items would cost, each alone, of what may still be told.

    Parameters
    ----------
    items : sequence of Releasable
        What one thinks of releasing.
    rules : ReleaseRules, optional
    beside : sequence of Releasable
        What leaves in any case.
    earlier : sequence of mapping
        The `knowledge` of releases that have left before.
    resolve : callable, optional

    Returns
    -------
    DataFrame
        A row an item: whether it passes, how wide the narrowest interval of a small number stays and the fewest values
        of one that are known to stay possible, and how it would be shown. Inside only.
    """
    rows = []
    for item in items:
        names = ", ".join(table.name for table in item.output_tables())
        try:
            found = release([*beside, item], rules, earlier=earlier, resolve=resolve)
        except SettingError as error:
            rows.append((names, False, np.nan, np.nan, str(error)))
            continue
        ends = [_all_ends(found, name, earlier) for name in found.small]
        widths = np.concatenate([np.zeros(0), *(one.high - one.low for one in ends)])
        seen = np.concatenate([np.zeros(0), *(one.different for one in ends)])
        if any(told.printed for told in found.knowledge.values()):
            seen = np.minimum(seen, found.audit["witnessed"].to_numpy())
        words = "; ".join(
            line for line in found.log if line.startswith(tuple(f"{n}:" for n in names.split(", ")))
        )
        rows.append(
            (
                names,
                found.passed,
                widths.min(initial=np.inf),
                seen.min(initial=np.inf),
                words or "as its marks say",
            )
        )
    return pd.DataFrame(rows, columns=["item", "passes", "narrowest", "fewest_values", "shown"])


def _all_ends(found: Release, name: str, earlier: Sequence[Mapping[str, Disclosed]]) -> Any:
    small = found.small[name]
    told = with_earlier(found.knowledge[name], small.base, *earlier)
    return infer(told.linear, small.matrix, small.base.counts, small.need, exact=True)


def _base_of(table: OutputTable) -> Base:
    if table.base is None:
        raise SettingError(f"output {table.name!r} does not say which persons it is about; give its base")
    return table.base


def _matrix_of(table: OutputTable) -> "csr_array[Any]":
    if table.matrix is None:
        raise SettingError(f"output {table.name!r} does not say which base cells its numbers are sums of")
    return table.matrix


def _bases(tables: Sequence[OutputTable], earlier: Sequence[Mapping[str, Disclosed]]) -> dict[str, Base]:
    """Give the finest base of each name; what has left earlier of a finer table makes that the base."""
    found: dict[str, Base] = {}
    for table in tables:
        if table.kind == "safe":
            continue
        base = _base_of(table)
        first = found.setdefault(base.name, base)
        if first is not base:
            found[base.name] = _finer(first, base)
    for one in earlier:
        for name, told in one.items():
            if name in found and told.counts is not None:
                found[name] = _finer(found[name], _base_again(name, told, found[name]))
    return found


def _base_again(name: str, told: Disclosed, now: Base) -> Base:
    """Make the base of an earlier release; it serves only where it is finer."""
    known = told.linear.floor == told.linear.ceiling
    whole = told.linear.whole
    if set(map(str, told.frame.columns)) <= set(map(str, now.frame.columns)) or told.counts is None:
        return now
    return Base(name=name, frame=told.frame, counts=told.counts, known=known, whole=whole)


def _finer(first: Base, second: Base) -> Base:
    """Give the finer of two bases, when the counts of the other are sums of its."""
    if first is second:
        return first
    coarse, fine = sorted((first, second), key=lambda base: (base.frame.shape[1], base.counts.size))
    if coarse.frame.shape[1] == fine.frame.shape[1] and (
        coarse.cells != fine.cells or not np.array_equal(coarse.counts, fine.counts)
    ):
        raise SettingError(
            f"two bases are called {first.name!r} and differ; name each after its persons and table"
        )
    coarse.onto(fine)
    return fine


def _check_names(tables: Sequence[OutputTable]) -> None:
    names = [table.name for table in tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingError(f"two outputs are called {twice[0]!r}; give each a name of its own")


def _distinct(matrix: "csr_array[Any]") -> "tuple[csr_array[Any], Places]":
    """Give each different row once, and the place of every row among them."""
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    first: dict[bytes, int] = {}
    keep: list[int] = []
    place = np.empty(matrix.shape[0], dtype=np.int64)
    for row in range(matrix.shape[0]):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        key = matrix.indices[part].astype(np.int64).tobytes() + matrix.data[part].astype(float).tobytes()
        if key not in first:
            first[key] = len(keep)
            keep.append(row)
        place[row] = first[key]
    return matrix[np.array(keep, dtype=np.int64)].tocsr(), place


def _numbers(base: Base, matrix: "csr_array[Any]", rules: ReleaseRules) -> Numbers:
    values = matrix @ base.counts
    size = values.size
    nothing = np.zeros(size, dtype=bool)
    return Numbers(
        cells=base.cells,
        matrix=matrix,
        truth=base.counts,
        floor=_floor(base, rules),
        ceiling=np.where(base.protected, np.inf, base.counts),
        cost=np.maximum(values, 1.0) if rules.cost == "value" else np.ones(size),
        primary=nothing,
        fixed=(values == 0) & (rules.zeros == "shown"),
        need=Need(down=np.zeros(size), up=np.zeros(size), width=np.zeros(size), different=rules.values),
        low=np.full(size, -np.inf),
        high=np.full(size, np.inf),
        whole=base.whole,
    )


def _judge(
    table: OutputTable,
    at: Places,
    values: Floats,
    need: Need,
    rule: list[str],
    rules: ReleaseRules,
) -> None:
    """Name the rule that each number breaks, and how open it must stay for that."""
    if table.kind == "magnitudes":
        for k, parts in zip(at, table.contributions, strict=True):
            if broken := unsafe_magnitude(parts, rules):
                rule[k] = ", ".join(broken)
                need.up[k] = need.down[k] = rules.p_ratio * parts.max(initial=0.0)
        return
    for k in at[small_count(values[at], rules)]:
        rule[k] = "small"
    for row, totals in table.tells.items():
        for total in totals:
            part, whole = values[at[row]], values[at[total]]
            if group_disclosed([part], [whole], rules)[0]:
                rule[at[row]] = rule[at[row]] or "group"
                need.down[at[row]] = max(need.down[at[row]], part - rules.group_share * whole)


def _with_needs(numbers: Numbers, rule: list[str], rules: ReleaseRules) -> Numbers:
    small = np.array([one == "small" for one in rule], dtype=bool)
    need = replace(numbers.need, width=np.where(small, rules.width, numbers.need.width))
    return replace(numbers, primary=np.array([bool(one) for one in rule], dtype=bool), need=need)


def _with_marks(numbers: Numbers, rows: Sequence[Places], rules: ReleaseRules) -> Numbers:
    """Say what the mark of each number tells; a small base cell that is in no table has none."""
    if not numbers.whole:
        return numbers
    values = numbers.amounts
    seen = np.zeros(values.size, dtype=bool)
    seen[np.concatenate([*rows, np.zeros(0, dtype=np.int64)])] = True
    least = 1.0 if rules.zeros == "shown" else 0.0
    low, high = np.full(values.size, least), np.full(values.size, np.inf)
    if rules.marks == "small":
        counted = (values > 0) & (values < rules.threshold)
        low = np.where(counted, 1.0, rules.threshold if rules.zeros == "shown" else 0.0)
        high = np.where(counted, rules.threshold - 1.0, np.inf)
    return replace(numbers, low=np.where(seen, low, -np.inf), high=np.where(seen, high, np.inf))


def _with_earlier(numbers: Numbers, known: Knowledge) -> Numbers:
    """Add what is known already: numbers shown then are fixed, numbers marked then stay what their marks say."""
    from scipy.sparse import vstack

    together = joined(numbers.known(numbers.start), known)
    size, fresh = known.lower.size, numbers.amounts.size
    rows = together.matrix[np.arange(fresh, fresh + size)]
    exact = known.lower == known.upper
    nothing, endless = np.zeros(size, dtype=bool), np.zeros(size)
    need = numbers.need
    start = np.zeros(fresh, dtype=bool) if numbers.hidden is None else numbers.hidden
    before = rows @ numbers.truth
    shown = numbers.shown or (numbers.amounts, numbers.amounts)
    return replace(
        numbers,
        matrix=vstack([numbers.matrix, rows], format="csr"),
        floor=together.floor,
        ceiling=together.ceiling,
        cost=np.concatenate([numbers.cost, np.ones(size)]),
        primary=np.concatenate([numbers.primary, nothing]),
        fixed=np.concatenate([numbers.fixed, exact]),
        need=replace(
            need,
            down=np.concatenate([need.down, endless]),
            up=np.concatenate([need.up, endless]),
            width=np.concatenate([need.width, endless]),
        ),
        low=np.concatenate([numbers.low, known.lower]),
        high=np.concatenate([numbers.high, known.upper]),
        hidden=np.concatenate([start, ~exact]),
        shown=(np.concatenate([shown[0], before]), np.concatenate([shown[1], before])),
    )


def _file_name(name: str) -> str:
    """Make a file name of the name of an output: letters, digits and a few signs of it."""
    return "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in name).strip(".") or "output"


def _as_text(frame: pd.DataFrame) -> str:
    """Write a csv in which no text is a formula for the program that opens it, and none steers a terminal."""
    columns = [frame.iloc[:, place].map(_harmless) for place in range(frame.shape[1])]
    safe = pd.concat(columns, axis=1) if columns else frame
    return csv_text(safe.set_axis([_harmless(str(name)) for name in frame.columns], axis=1))


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in value)


def _written(folder: Path, files: Mapping[str, str], *, private: bool) -> Path:
    """Write a folder whole or not at all."""
    if folder.exists() or folder.is_symlink():
        raise SettingError(f"the folder {folder.name} exists; a release is written to a new one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        for name, text in files.items():
            with os.fdopen(
                os.open(draft / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(text)
        if not private:
            for name in files:
                (draft / name).chmod(0o644)
            draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder
