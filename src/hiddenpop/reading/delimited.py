"""Text files: which bytes are which letters, what stands between the cells, and the cells themselves as text."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hiddenpop._files import FORMULA, without_marks
from hiddenpop.errors import TableError

__all__ = ["Delimited", "read_delimited", "read_mark"]

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars", "~": "tildes", "^": "carets"}
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""First bytes of a text that say its encoding; those of UTF-32 begin as those of UTF-16 do."""

SAMPLE_LETTERS, SAMPLE_LINES = 200_000, 500
AGREEING = 0.6
"""Share of lines that must have as many cells as each other before a sign is taken for the separator."""

_LINE = re.compile(r"line (\d+)")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_WHOLE = re.compile(r"\+?\d+(\.0*)?")


@dataclass(frozen=True, slots=True, eq=False)
class Delimited:
    """Cells of a text file as text, columns numbered from 0, with what was found out."""

    cells: pd.DataFrame
    notes: tuple[str, ...]
    separator: str


def read_delimited(content: bytes) -> Delimited:
    """Read everything as text first: a postcode keeps its zeros, and a doubled header is seen."""
    content, notes = _as_utf8(content)
    sample = content[:SAMPLE_LETTERS].decode("utf-8", "ignore").removeprefix("\ufeff")
    quote = _quote(sample)
    separator, width = _separator(sample, quote, whole=len(content) <= SAMPLE_LETTERS)
    try:
        cells = pd.read_csv(
            io.BytesIO(content),
            sep=separator,
            quotechar=quote,
            names=list(range(width)),
            header=None,
            index_col=None,
            encoding="utf-8-sig",
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skipinitialspace=True,
            skip_blank_lines=False,
        )
    except (ValueError, csv.Error) as error:  # the parser's own words may quote the line
        where = _LINE.search(str(error))
        told = (
            f"line {where[1]} has more cells than those before" if where else "quotes or lines do not close"
        )
        raise TableError(f"cannot read {{path}} as csv: {told}; correct the file or save it again") from None
    return Delimited(without_marks(cells) if b"'" in content else cells, notes, separator)


def _as_utf8(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Find out the encoding of a text, and give its bytes in UTF-8."""
    if not content.strip():
        raise TableError("cannot read {path} as csv: it is empty; there is nobody to count")
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding).encode(), (f"the file is in {encoding.upper()}",)
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if content[first : first + 1] == b"\0" == content[first + 2 : first + 3]:
            return content.decode(encoding).encode(), ("the file is in UTF-16",)
    if content.endswith(b"\0") and b"\0" not in (text := content.rstrip(b"\0")):
        content, notes = _as_utf8(text)
        return content, (*notes, "bytes of nothing at the end of the file left out")
    if b"\0" in content:
        raise TableError("cannot read {path} as csv: it holds bytes that are no text; save it again as csv")
    try:
        content.isascii() or content.decode("utf-8")
    except UnicodeDecodeError:
        return _of_windows(content), ("the file is not in UTF-8 and was read as Latin-1 (Windows-1252)",)
    return content, ()


def _of_windows(content: bytes) -> bytes:
    """Read bytes as Windows-1252, the Latin-1 of Excel, unless they are hardly letters."""
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = "\xff"
    if "\xff" in text or "\xfe" in text:  # in no name here; what is left of another encoding
        raise TableError(
            "cannot read {path}: it is not UTF-8, UTF-16 or Latin-1 text; save it again as UTF-8"
        )
    return text.encode()


def _quote(sample: str) -> str:
    """Find the sign around cells: a single quote where most lines begin with one and none holds a double one."""
    lines = sample.splitlines()
    single = sum(line.startswith("'") and not FORMULA.match(line) for line in lines)
    return "'" if '"' not in sample and single >= AGREEING * len(lines) else '"'


def _separator(sample: str, quote: str, *, whole: bool) -> tuple[str, int]:
    """Find the sign that cuts most lines into the same number of cells, and the number of cells."""
    found = {sign: _widths(sample, sign, quote, whole) for sign in (*SEPARATORS, " ")}
    best, most = ",", (0, 1)
    for sign, widths in found.items():
        width, lines = Counter(widths).most_common(1)[0] if widths else (1, 0)
        agree = width > 1 and lines >= AGREEING * len(widths)
        if agree and (lines, width) > most and not (sign == " " and most[0]):
            best, most = sign, (lines, width)
    return best, max(found[best], default=1)


def _widths(sample: str, sign: str, quote: str, whole: bool) -> list[int]:
    lines = io.StringIO(sample, newline=None)
    widths = []
    try:
        for row in csv.reader(lines, delimiter=sign, quotechar=quote, skipinitialspace=True):
            if any(cell.strip() for cell in row):
                widths.append(len(row))
            if len(widths) == SAMPLE_LINES:
                return widths
    except csv.Error:
        return widths
    return widths if whole else widths[:-1]


# --- capture histories as MARK has them ------------------------------------------------------------------------


def read_mark(content: bytes) -> Delimited:
    """Read a file of MARK: a capture history, a count for every group, a semicolon.

    Where every record is one animal or person, what stands behind the groups are covariates, which are left out.
    """
    content, notes = _as_utf8(content)
    text = _COMMENT.sub(" ", content.decode("utf-8-sig"))
    *records, rest = [record.split() for record in text.split(";")]
    if rest or not records:
        raise TableError(
            "cannot read {path} as inp: every record must end in a semicolon, and "
            f"{'the last does not' if records else 'none does'}; put one behind every record"
        )
    rows = [row for row in records if row]
    _refuse_records(rows)
    groups, covariates = _groups([row[1:] for row in rows])
    cells = pd.DataFrame(
        [
            (row[0], f"group {group + 1}", int(float(row[1 + group])))
            for row in rows
            for group in range(groups)
            if groups == 1 or float(row[1 + group])
        ],
        columns=["history", "group", "count"],
    )
    cells = cells.groupby(["history", "group"], sort=False)["count"].sum().reset_index()
    told = [*notes]
    if groups == 1:
        cells = cells.drop(columns="group")
    else:
        told.append(f"the {groups} counts behind each history are those of {groups} groups, a stratum each")
    if covariates:
        told.append(f"{covariates} covariate{'s' * (covariates > 1)} of each record left out")
    return Delimited(cells, tuple(told), " ")


def _refuse_records(rows: Sequence[Sequence[str]]) -> None:
    """Refuse records that are no history of 0 and 1 with numbers behind it; what stands there is not shown."""
    width = len(rows[0]) if rows else 0
    for place, (history, *numbers) in enumerate(rows, 1):
        if set(history) - {"0", "1"} or len(history) != len(rows[0][0]):
            fault = (
                "does not begin with a history of 0 and 1, as long as the others; an occasion without effort, written "
                "as a point, has no place in a table"
            )
        elif len(numbers) != width - 1 or not numbers:
            fault = (
                "has another number of counts than the first"
                if numbers
                else "has no count behind its history"
            )
        elif not all(map(_is_a_number, numbers)):
            fault = "holds something else than numbers behind its history"
        elif float(numbers[0]) < 0:
            fault = (
                "has a count below 0, as of those removed when they were caught; they cannot be caught again, so no "
                "closed population holds them"
            )
        else:
            continue
        raise TableError(f"cannot read {{path}} as inp: record {place} {fault}; correct it")


def _is_a_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _groups(numbers: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Tell counts by group from covariates: the number of each."""
    width = len(numbers[0])
    if len(numbers) > 1:
        ones = [{tuple(sorted(row[:first])) for row in numbers} for first in range(1, width + 1)]
        for first, held in enumerate(ones, 1):
            if held == {("0",) * (first - 1) + ("1",)}:
                return first, width - first
    if not all(_WHOLE.fullmatch(text) for row in numbers for text in row):
        raise TableError(
            "cannot read {path} as inp: behind the histories stand numbers that are not whole, and its records are not "
            "of one person each; give a count for every group and nothing else"
        )
    return width, 0
