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

from hiddenpop.disclosure.answers import Resolver, judge_answers
from hiddenpop.disclosure.linear import Knowledge, Need, infer, joined
from hiddenpop.disclosure.primary import group_disclosed, small_count, unsafe_magnitude
from hiddenpop.disclosure.rules import OTHER_MARK, ReleaseRules
from hiddenpop.disclosure.suppression import Numbers, suppress
from hiddenpop.disclosure.tables import Base, OutputTable, Releasable
from hiddenpop.errors import SettingError, UnknownNameError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Release", "read_knowledge", "release"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Record = TypeVar("Record", bound=Releasable)

WATERMARK = "NOT PROTECTED: small numbers are shown. This must not leave."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Release:
    """What may be shown of everything that was asked for, with what an outsider could infer from all of it.

    Attributes
    ----------
    rules : ReleaseRules
    frames : mapping of str to DataFrame
        What may be shown, by name of output table, with marks in place of numbers that may not.
    knowledge : mapping of str to Knowledge
        By base, what an outsider knows: for later releases. It holds no base count; it stays inside all the same.
    audit : DataFrame
        A row for every small number: what it is, the interval it is in for an outsider, at least, and whether that is
        wide enough. Inside only.
    account : DataFrame
        A row for every number: as it is, as it is shown, and by which rule. For the checker; inside only.
    log : tuple of str
        What was decided, in words that hold no withheld number.
    small : mapping of str to Small
        By base, the small numbers that the audit is about. Inside only.
    unprotected : bool
        Whether everything is shown.
    """

    rules: ReleaseRules
    frames: Mapping[str, pd.DataFrame]
    knowledge: Mapping[str, Knowledge] = field(repr=False)
    audit: pd.DataFrame = field(repr=False)
    account: pd.DataFrame = field(repr=False)
    log: tuple[str, ...]
    small: Mapping[str, "Small"] = field(repr=False)
    unprotected: bool = False

    @property
    def legend(self) -> str:
        """What the marks say; it goes along with every release."""
        if self.unprotected:
            return WATERMARK
        if self.rules.marks == "one":
            return f"{OTHER_MARK} = withheld"
        return (
            f"{self.rules.small_mark} = 1 to {self.rules.threshold - 1}; "
            f"{OTHER_MARK} = withheld to protect another number"
        )

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
        """
        names = [table.name for table in record.output_tables()]
        missing = [name for name in names if name not in self.frames]
        if missing:
            raise UnknownNameError(
                f"{missing[0]!r} was not judged in this release; make one release of everything that leaves"
            )
        return record.released({name: self.frames[name] for name in names})

    def against(self, *earlier: Mapping[str, Knowledge]) -> pd.DataFrame:
        """Audit this release together with earlier ones, given by their `knowledge`.

        Returns
        -------
        DataFrame
            As `audit`, for an outsider who has them all.
        """
        found = []
        for name, small in self.small.items():
            known = self.knowledge[name]
            for one in earlier:
                if name in one:
                    known = joined(known, one[name])
            if known.cells != self.knowledge[name].cells:
                raise SettingError(
                    f"an earlier release is about base cells of {name!r} that this one does not have; give both the "
                    f"finest base that they share"
                )
            found.append(_audited(name, known, small))
        return pd.concat(found, ignore_index=True) if found else self.audit

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
        if not (self.passed or self.unprotected):
            narrow = int((~self.audit["open"]).sum())
            raise SettingError(
                f"{narrow} small numbers follow too narrowly from what would be shown; nothing is written: show fewer "
                f"tables, or make the release again without what earlier ones have told"
            )
        files = {f"{_file_name(name)}.csv": _as_text(frame) for name, frame in self.frames.items()}
        about = {"rules": self.rules.to_dict(), "legend": self.legend, "unprotected": self.unprotected}
        files["release.json"] = json.dumps(about, indent=2) + "\n"
        if self.unprotected:
            files = {
                name: text if name.endswith("json") else f"# {WATERMARK}\n{text}"
                for name, text in files.items()
            }
        return _written(Path(folder), files, private=False)

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
        known = {name: _plain_knowledge(one) for name, one in self.knowledge.items()}
        files = {
            "STAYS-INSIDE.txt": "This folder holds unprotected numbers. It must not leave.\n",
            "account.csv": _as_text(self.account),
            "audit.csv": _as_text(self.audit),
            "log.txt": "".join(f"{line}\n" for line in self.log),
            "knowledge.json": json.dumps(known) + "\n",
        }
        return _written(Path(folder), files, private=True)


def release(
    items: Sequence[Releasable],
    rules: ReleaseRules | None = None,
    *,
    earlier: Sequence[Mapping[str, Knowledge]] = (),
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
        If two outputs have one name, two bases of one name differ, or earlier releases have told too much already.

    Notes
    -----
    Small numbers are withheld by the primary rules. Every small base cell counts, shown or not. Then further numbers
    of any of the tables are withheld, at the least cost, until an outsider who knows every number shown, every mark,
    and every earlier release, finds an interval that is wide enough for each of them.

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
    rooms = [_Room.of(base, tables, rules, earlier, unprotected) for base in _bases(tables)]
    frames = {table.name: table.frame for table in tables if table.kind == "safe"}
    account: list[tuple[Any, ...]] = []
    log: list[str] = [WATERMARK] if unprotected else []
    knowledge, small = {}, {}
    for room in rooms:
        name = room.base.name
        shown = room.protected(unprotected)
        answers = [table for table in tables if table.kind == "answers" and _base_of(table).name == name]
        small[name] = room.small()
        knowledge[name] = shown.known
        if unprotected:
            frames |= {table.name: table.frame for table in answers}
        else:
            judged = judge_answers(
                answers, shown.known, room.base, small[name].matrix, small[name].need, rules, resolve
            )
            frames |= judged.frames
            knowledge[name] = judged.known
            account += judged.account
            log += judged.log
        frames |= shown.frames
        account += shown.account
        log += shown.log
    audits = [_audited(name, knowledge[name], small[name]) for name in small]
    return Release(
        rules=rules,
        frames={table.name: frames[table.name] for table in tables},
        knowledge=knowledge,
        audit=pd.concat(audits, ignore_index=True) if audits else pd.DataFrame(columns=list(AUDIT)),
        account=pd.DataFrame(account, columns=list(ACCOUNT)),
        log=tuple(log),
        small=small,
        unprotected=unprotected,
    )


AUDIT = ("base", "cell", "number", "low", "high", "width", "open")
ACCOUNT = ("output", "row", "number", "persons", "shown", "rule")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Small:
    """The small numbers of a base: what to call each, which sum it is, what it needs, and the base as it is."""

    labels: tuple[str, ...]
    matrix: "csr_array[Any]"
    need: Need
    truth: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    frames: dict[str, pd.DataFrame]
    known: Knowledge
    account: list[tuple[Any, ...]]
    log: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Room:
    """The numbers of all tables of one base, each sum once; small base cells are among them, shown or not."""

    base: Base
    tables: list[OutputTable]
    rows: list[npt.NDArray[np.int64]]
    numbers: Numbers
    rule: list[str]
    rules: ReleaseRules

    @classmethod
    def of(
        cls,
        base: Base,
        tables: Sequence[OutputTable],
        rules: ReleaseRules,
        earlier: Sequence[Mapping[str, Knowledge]],
        unprotected: bool,
    ) -> "_Room":
        from scipy.sparse import csr_array, eye_array, vstack

        mine = [table for table in tables if _is_linear(table) and _base_of(table).name == base.name]
        small = small_count(base.counts, rules) & base.protected & base.whole
        cells = np.flatnonzero(small)
        blocks = [csr_array(eye_array(base.counts.size, format="csr")[cells]), *map(_matrix_of, mine)]
        matrix, place = _distinct(vstack(blocks, format="csr"))
        ends = np.cumsum([block.shape[0] for block in blocks])
        rows = [place[first:last] for first, last in itertools.pairwise(ends)]
        rule = [""] * matrix.shape[0]
        numbers = _numbers(base, matrix, rules)
        for k in place[: cells.size]:
            rule[k] = "small"
        for table, at in zip(mine, rows, strict=True):
            _judge(table, at, numbers.amounts, numbers.need, rule, rules)
        for k in np.flatnonzero(matrix @ base.protected.astype(float) == 0):
            rule[k] = ""
        numbers = _with_marks(_with_needs(numbers, rule, rules), rows, rules)
        if not unprotected:
            for one in earlier:
                if base.name in one:
                    numbers = _with_earlier(numbers, one[base.name])
        return cls(base, mine, rows, numbers, rule, rules)

    def protected(self, unprotected: bool) -> _Shown:
        """Withhold what must be, and give the frames that may be shown."""
        numbers = self.numbers
        withheld = numbers.start.copy()
        if unprotected:
            withheld[:] = False
        else:
            withheld = suppress(numbers, exact_up_to=self.rules.exact_up_to).withheld
        frames, account = {}, []
        for table, at in zip(self.tables, self.rows, strict=True):
            marks = [self._mark(k, bool(withheld[k])) for k in at]
            values = table.frame[table.value].tolist()
            shown = [value if mark is None else mark for value, mark in zip(values, marks, strict=True)]
            frames[table.name] = table.frame.assign(
                **{table.value: pd.Series(shown, index=table.frame.index)}
            )
            persons = self._persons(table)
            for row, (k, value, one) in enumerate(zip(at, values, shown, strict=True)):
                rule = (self.rule[k] or "protects another") if withheld[k] else ""
                account.append((table.name, row, value, persons[row], one, rule))
        first = int(numbers.primary.sum())
        second = int((withheld & ~numbers.start).sum())
        log = [
            f"{self.base.name}: {len(self.tables)} tables of counts; numbers below the rules: {first}; "
            f"withheld to protect them: {second}"
        ]
        return _Shown(frames, numbers.known(withheld), account, log)

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
            labels=tuple(self._label(int(k)) for k in at),
            matrix=self.numbers.matrix[at],
            need=self.numbers.need.at(at),
            truth=self.base.counts,
        )

    def _label(self, k: int) -> str:
        cells = self.numbers.matrix[[k]].indices
        return self.base.cells[cells[0]] if cells.size == 1 else f"sum of {cells.size} cells, number {k}"


def _audited(name: str, known: Knowledge, small: Small) -> pd.DataFrame:
    found = infer(known, small.matrix, small.truth, small.need)
    values = small.matrix @ small.truth
    return pd.DataFrame(
        {
            "base": name,
            "cell": small.labels,
            "number": values,
            "low": found.low,
            "high": found.high,
            "width": found.high - found.low,
            "open": found.open,
        },
        columns=list(AUDIT),
    )


def _is_linear(table: OutputTable) -> bool:
    return table.kind in {"counts", "magnitudes"}


def _base_of(table: OutputTable) -> Base:
    if table.base is None:
        raise SettingError(f"output {table.name!r} does not say which persons it is about; give its base")
    return table.base


def _matrix_of(table: OutputTable) -> "csr_array[Any]":
    if table.matrix is None:
        raise SettingError(f"output {table.name!r} does not say which base cells its numbers are sums of")
    return table.matrix


def _bases(tables: Sequence[OutputTable]) -> list[Base]:
    found: dict[str, Base] = {}
    for table in tables:
        if table.kind == "safe":
            continue
        base = _base_of(table)
        first = found.setdefault(base.name, base)
        if first is not base and (first.cells != base.cells or not np.array_equal(first.counts, base.counts)):
            raise SettingError(
                f"two bases are called {base.name!r} and differ; name each after its persons and table"
            )
    return list(found.values())


def _check_names(tables: Sequence[OutputTable]) -> None:
    names = [table.name for table in tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingError(f"two outputs are called {twice[0]!r}; give each a name of its own")


def _distinct(matrix: "csr_array[Any]") -> "tuple[csr_array[Any], npt.NDArray[np.int64]]":
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
    known = ~base.protected
    own = (base.counts > 0) if rules.own_record and base.whole else np.zeros(base.counts.size, dtype=bool)
    nothing = np.zeros(size, dtype=bool)
    return Numbers(
        cells=base.cells,
        matrix=matrix,
        truth=base.counts,
        floor=np.where(known, base.counts, own.astype(float)),
        ceiling=np.where(known, base.counts, np.inf),
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
    at: npt.NDArray[np.int64],
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


def _with_marks(numbers: Numbers, rows: Sequence[npt.NDArray[np.int64]], rules: ReleaseRules) -> Numbers:
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
    if together.cells != numbers.cells:
        raise SettingError(
            "an earlier release is about base cells that this one does not have; give both the finest base that they "
            "share"
        )
    size, fresh = known.lower.size, numbers.amounts.size
    rows = together.matrix[np.arange(fresh, fresh + size)]
    exact = known.lower == known.upper
    nothing, endless = np.zeros(size, dtype=bool), np.zeros(size)
    need = numbers.need
    start = np.zeros(fresh, dtype=bool) if numbers.hidden is None else numbers.hidden
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
    )


def _plain_knowledge(known: Knowledge) -> dict[str, Any]:
    entries = known.matrix.tocoo()
    return {
        "cells": list(known.cells),
        "shape": list(known.matrix.shape),
        "entries": [entries.row.tolist(), entries.col.tolist(), entries.data.tolist()],
        "whole": known.whole,
        **{key: _endless(getattr(known, key)) for key in _ENDS},
    }


_ENDS = ("lower", "upper", "floor", "ceiling")


def _endless(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def read_knowledge(folder: str | Path) -> dict[str, Knowledge]:
    """Read what `Release.write_inside` kept, for the audit of a later release.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    dict of str to Knowledge

    Raises
    ------
    SettingError
        If it is not there or damaged.
    """
    from scipy.sparse import csr_array

    path = Path(folder) / "knowledge.json"
    found = {}
    try:
        for name, plain in json.loads(path.read_text("utf-8")).items():
            row, column, data = plain["entries"]
            sign = {"lower": -np.inf, "upper": np.inf, "floor": -np.inf, "ceiling": np.inf}
            ends = {
                key: np.array([sign[key] if one is None else one for one in plain[key]], dtype=np.float64)
                for key in _ENDS
            }
            found[str(name)] = Knowledge(
                cells=tuple(plain["cells"]),
                matrix=csr_array((data, (row, column)), shape=tuple(plain["shape"])),
                whole=bool(plain["whole"]),
                **ends,
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"what an earlier release has told cannot be read from {path.name}; give the folder that stayed inside"
        ) from error
    return found


def _file_name(name: str) -> str:
    """Make a file name of the name of an output: letters, digits and a few signs of it."""
    return "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in name).strip(".") or "output"


def _as_text(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _written(folder: Path, files: Mapping[str, str], *, private: bool) -> Path:
    """Write a folder whole or not at all."""
    if folder.exists():
        raise SettingError(f"the folder {folder.name} exists; a release is written to a new one")
    if len({name.casefold() for name in files}) < len(files):
        raise SettingError(
            "two outputs would have one file name; give them names that differ in letters or digits"
        )
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
