"""One column of a file: its distinct texts, what kind of values they are, and whether they could name persons."""

import datetime
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._cells import FORMULA_SIGNS, level_text
from hiddenpop._typing import Ints
from hiddenpop._words import NO_WORDS, TICKS, YES_WORDS, pair_of, plain_word
from hiddenpop.reading.numbers import may_be_number

__all__ = [
    "FEW",
    "MOST_WORDS",
    "NOT_RECORDED",
    "ROWS_PER_GROUP",
    "ROWS_PER_STRATUM",
    "UNKNOWN_COUNT",
    "Column",
    "is_code",
    "is_count_name",
    "make_column",
    "one_spelling",
    "without_formula_signs",
    "writable",
]

COUNT_NAMES = frozenset({
    "count", "counts", "n", "freq", "_freq", "frequency", "frequentie", "total", "totaal", "aantal", "aantallen",
    "anzahl", "effectif",
})  # fmt: skip
"""What people call a column of counts, in lower case."""

NOT_RECORDED = frozenset({
    "na", "n/a", "<na>", "#n/a", "nan", "null", ".", "#n/b", "#nv", "#ref!", "#verw!", "#bezug!", "#value!", "#waarde!",
    "#wert!", "#div/0!", "#deel/0!", "#name?", "#naam?", "#null!", "#leeg!", "#num!", "#getal!",
})  # fmt: skip
"""How programs write that a value is missing, in lower case."""

UNKNOWN_COUNT = NOT_RECORDED | {"?", "-", "\u2013", "*", "unknown", "onbekend"}
"""How people write the number of those on no list, in lower case."""

HISTORY_NAMES = frozenset({
    "history", "histories", "ch", "cap_hist", "caphist", "capture", "captures", "capture history", "capture_history",
    "pattern", "patroon", "profile", "profiel", "combination", "combinatie", "omega",
})  # fmt: skip
"""What people call a column of capture histories, in lower case."""

COVARIATE_NAMES = frozenset({
    "sex", "sexe", "gender", "sekse", "geslacht", "female", "male", "vrouw", "man", "women", "men", "minor", "minors",
    "minderjarig", "adult", "adults", "volwassen", "age", "leeftijd", "agegroup", "agegrp", "ageband",
    "leeftijdsklasse", "child", "children", "kind", "year", "jaar", "yr", "period", "periode", "month", "maand",
    "quarter", "kwartaal", "nationality", "nationaliteit", "dutch", "nederlands", "foreign", "foreigner", "eu",
    "region", "regio", "municipality", "gemeente", "province", "provincie", "place", "plaats", "city", "stad",
    "country", "land", "cohort", "ethnicity", "ethnic", "eth", "race", "migrant", "migration", "married",
    "urban", "rural", "stratum", "strata", "group", "groep",
})  # fmt: skip
"""What people call a covariate, in lower case and without the signs between words."""

_PERSON_WORDS = frozenset({
    "id", "ids", "bsn", "ssn", "uid", "uuid", "pid", "naam", "name", "names", "voornaam", "achternaam",
    "surname", "firstname", "lastname", "fullname", "email", "mail", "phone", "telefoon", "telephone", "client",
    "clientid", "person", "persoon", "persons", "personid", "patient", "patientid", "dossier", "dob",
    "birthdate", "birthday", "geboortedatum", "geboren", "kenmerk", "pseudonym", "who", "wie", "iban",
    "address", "adres", "crn",
})  # fmt: skip
_NAME_WORDS = frozenset({
    "naam", "name", "names", "voornaam", "achternaam", "surname", "firstname", "lastname", "fullname",
})  # fmt: skip
_PERSON_ENDS = ("nr", "nummer", "_no", "id_code")
_WITHOUT = re.compile(rf"[{re.escape(''.join(FORMULA_SIGNS))}\x00-\x1f]\s*")
_COUNT_PHRASE = re.compile(
    r"(number of|count of|no\.? of|#|n|aantal|anzahl|anzahl der|nombre de|total|totaal|totaal aantal)[ _]*"
    r"(persons|people|individuals|clients|cases|victims|personen|mensen|individuen|cli\u00ebnten|clienten|zaken"
    r"|slachtoffers|personnes|victimes|opfer)"
)
_MAIL = re.compile(r"\S@\S")
_DAY = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/. ]\w{1,9}[-/. ]\d{2,4})(\D.*)?|(19|20)\d{6}")
_LONG_NUMBER = re.compile(r"\D*(\d[ .-]?){6,}\D*")
_CODE = re.compile(r"(?=.*\d{2})(?=.*[A-Za-z\-_/.])[\w\-/.]*\d{2}[\w\-/.]*")
_HISTORY = re.compile(r"([A-Za-z]?[._]?)([01]+)")
_SPACED = re.compile(
    r"[\['(\"]*[01](?:([ ;/|_\-])[01](?:\1[01])*|(?:, ?[01]){2,})[\])'\"]*|'[01]{2,}'?"  # 1,0 may be a number
)
_NO_DIGIT = re.compile(r"\D")
_WHOLE = re.compile(r"\d{1,4}([.,]0+)?")
_BAND = re.compile(r"\D{0,12}\d{1,3}\s?\D{1,3}\s?\d{0,3}\D{0,6}")

FEW = 10
MOST_WORDS = 4
"""In a list of which the user names the word for being on it: yes, no, not known, not asked."""

MOST_VISITS = 1000
"""From here on a number is none of visits that a person made."""

_HALF = 0.5
ROWS_PER_STRATUM, ROWS_PER_GROUP, ROWS_PER_LARGE_GROUP = 2, 5, 20
"""Rows a level below which a text is not a group: in rows that are cells, in rows about persons, and there in more than
ten levels that nobody named as strata."""

_SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Column:
    """A column as text.

    Parameters
    ----------
    name : str
    codes : ndarray of int64, shape (n,)
        Of each row, the place of its text in `levels`; -1 where the cell is blank.
    levels : tuple of str
        The distinct texts, without blanks around them.
    """

    name: str
    codes: Ints
    levels: tuple[str, ...]

    @cached_property
    def words(self) -> frozenset[str]:
        """The plain words of a column with few levels; empty for one with many."""
        return frozenset(map(plain_word, self.levels)) if len(self.levels) <= FEW else frozenset()

    @cached_property
    def present(self) -> frozenset[str]:
        """The plain words without those that say that a value is missing."""
        return frozenset(word for word in self.words if word not in NOT_RECORDED)

    @property
    def is_blank(self) -> bool:
        """Whether no cell is filled in."""
        return not self.levels

    @property
    def has_gaps(self) -> bool:
        """Whether a cell is blank or says that its value is missing."""
        return bool((self.codes < 0).any()) or self.words != self.present

    @property
    def is_constant(self) -> bool:
        """Whether every cell holds the same."""
        return len(self.levels) == 1 and not self.has_gaps

    @property
    def is_zero_one(self) -> bool:
        """Whether it holds 0 and 1 only."""
        return bool(self.levels) and self.words <= {"0", "1"} and bool(self.words)

    @property
    def is_binary(self) -> bool:
        """Whether it holds a word for "on the list" and one for "not on it", or nothing but 0 and 1."""
        return self.is_zero_one or (
            len(self.words) == 2 and len(self.words & NO_WORDS) == 1 == len(self.words & YES_WORDS)
        )

    @property
    def is_tick(self) -> bool:
        """Whether it holds one word for "on the list", or its own name, and blanks for "not on it"."""
        return bool(self.present) and self.has_gaps and self.holds_ticks

    @property
    def holds_ticks(self) -> bool:
        """Whether what is filled in, if anything, is one word for "on the list"."""
        return len(self.present) <= 1 and self.present <= {*TICKS, plain_word(self.name)}

    @property
    def is_one_two(self) -> bool:
        """Whether it holds 1 and 2 only, as SPSS codes yes and no."""
        return bool(self.words) and self.words <= {"1", "2"}

    @property
    def half_a_pair(self) -> bool:
        """Whether it holds one word of a pair."""
        return len(self.words) == 1 and pair_of(self.words) is not None

    @cached_property
    def is_number(self) -> bool:
        """Whether every text could be a number, however its signs are read, or says that it is not known."""
        texts = [level for level in self.levels if level.casefold() not in UNKNOWN_COUNT]
        return bool(texts) and all(map(may_be_number, texts))

    @property
    def is_nearly_binary(self) -> bool:
        """Whether most of its cells hold 0 or 1: a list with faults."""
        ends = [place for place, level in enumerate(self.levels) if plain_word(level) in ("0", "1")]
        return (
            len(self.levels) <= FEW and "0" in self.words and bool(np.isin(self.codes, ends).mean() >= _HALF)
        )

    @cached_property
    def may_be_visits(self) -> bool:
        """Whether it holds whole numbers, some above 1 and none very large, and 0 or blanks."""
        if len(self.levels) > MOST_VISITS or self.is_covariate_by_name or self.is_person_by_name:
            return False
        recorded = [plain_word(level) for level in self.levels if level.casefold() not in NOT_RECORDED]
        if not recorded or not all(map(_WHOLE.fullmatch, recorded)):
            return False
        numbers = [int(re.split("[.,]", text)[0]) for text in recorded]
        if len(numbers) > FEW and 2 * len(numbers) > int((self.codes >= 0).sum()):
            return False
        gaps = bool((self.codes < 0).any()) or len(recorded) < len(self.levels)
        return 1 < max(numbers) < MOST_VISITS and (0 in numbers or gaps)

    @property
    def holds_records(self) -> bool:
        """Whether nearly every cell that is filled in holds a text of its own, as numbers of records do."""
        filled = int((self.codes >= 0).sum())
        own = len(self.levels) > FEW and 2 * len(self.levels) > filled
        return own and filled < self.codes.size and "0" not in self.levels

    @property
    def is_covariate_by_name(self) -> bool:
        """Whether it is called as covariates are."""
        plain = re.sub(r"[^a-z]", "", self.name.casefold())
        return plain in COVARIATE_NAMES

    @property
    def is_person_by_name(self) -> bool:
        """Whether it is called as the names and numbers of persons are."""
        name = self.name.casefold().strip()
        if is_count_name(name):
            return False
        return bool(_PERSON_WORDS & set(re.findall(r"[^\W\d_]+", name))) or name.endswith(_PERSON_ENDS)

    @property
    def is_name_by_name(self) -> bool:
        """Whether it is called as names of persons are, which several persons may share."""
        return bool(_NAME_WORDS & set(re.findall(r"[^\W\d_]+", self.name.casefold())))

    @cached_property
    def holds_dates(self) -> bool:
        """Whether its texts are days."""
        return self._share(_DAY.fullmatch)

    @cached_property
    def holds_identifiers(self) -> bool:
        """Whether its texts are addresses, days, long numbers or, where there are many, codes."""
        telling = (_MAIL.search, _DAY.fullmatch, _LONG_NUMBER.fullmatch)
        if any(map(self._share, telling)):
            return True
        return len(self.levels) > FEW and self._share(is_code)

    @cached_property
    def histories(self) -> tuple[str, ...]:
        """The 0s and 1s of its texts where they are capture histories, such as 0110, n0110 or 0-1-1-0; else empty.

        They are told from numbers by zeros in front, by signs between them, or by the name of the column.
        """
        if self.levels and all(map(_SPACED.fullmatch, self.levels)):
            plain = tuple(_NO_DIGIT.sub("", text) for text in self.levels)
            return plain if len({*map(len, plain)}) == 1 else ()
        if not self.levels or not all(map(_HISTORY.fullmatch, self.levels[:_SAMPLE])):
            return ()
        cut = [found for found in map(_HISTORY.fullmatch, self.levels) if found]
        texts = tuple(found[2] for found in cut)
        widths = {len(text) for text in texts}
        if len(cut) < len(self.levels) or len({found[1] for found in cut}) > 1 or max(widths) < 2:
            return ()
        by_zeros = len(widths) == 1 and any(text.startswith("0") for text in texts)
        return texts if by_zeros or self.name.casefold().strip() in HISTORY_NAMES else ()

    def _share(self, matches: Any) -> bool:
        sample = self.levels[:_SAMPLE]
        return bool(sample) and sum(bool(matches(text)) for text in sample) >= _HALF * len(sample)

    def is_scattered(self, *, of_persons: bool) -> bool:
        """Tell whether there are too few rows a level for the levels to be groups."""
        n, rows = len(self.levels), self.codes.size
        if of_persons and self.has_gaps and int((self.codes >= 0).sum()) < ROWS_PER_GROUP * n:
            return True
        if not of_persons:
            return n > FEW and rows < ROWS_PER_STRATUM * n
        least = ROWS_PER_LARGE_GROUP if n > FEW else ROWS_PER_GROUP
        return n > 2 and rows < least * n


def is_count_name(name: str) -> bool:
    """Tell whether a column is called as columns of counts are.

    Examples
    --------
    >>> is_count_name("Freq"), is_count_name("Aantal personen"), is_count_name("persons")
    (True, True, False)
    """
    plain = name.casefold().strip()
    return plain in COUNT_NAMES or bool(_COUNT_PHRASE.fullmatch(plain))


def is_code(text: str) -> bool:
    """Tell a code with digits, such as of a case or a person, from a band such as 18-24.

    Examples
    --------
    >>> is_code("NL-10007"), is_code("18-24")
    (True, False)
    """
    return bool(_CODE.fullmatch(text) and not _BAND.fullmatch(text))


def make_column(name: str, cells: "pd.Series[Any]") -> Column:
    """Read a column as text, whatever it was stored as."""
    codes, distinct = _factorized(cells)
    texts: list[str] = []
    differ = True  # as the values do, unless a text was made of one
    for value in distinct:
        text = _text(value)
        differ = differ and text == value != ""
        texts.append(text)
    codes = codes.astype(np.int64, copy=False)
    if not differ and (len(set(texts)) < len(texts) or "" in texts):
        again, kept = pd.factorize(np.array([*texts, ""], dtype=object))
        blank = again[-1]
        codes = again[codes]  # a code of -1 takes the blank at the end
        codes = np.where(codes == blank, -1, codes - (codes > blank))
        texts = [text for text in kept if text]
    return Column(name, codes, tuple(texts))


def _factorized(cells: "pd.Series[Any]") -> tuple[Ints, Any]:
    if pd.api.types.is_bool_dtype(cells.dtype) and not isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    try:
        return pd.factorize(cells)
    except TypeError:  # a list or another value that has no place in a table
        return pd.factorize(cells.map(lambda value: value if isinstance(value, Hashable) else str(value)))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float | np.floating):
        return _number_text(float(value))
    if isinstance(value, datetime.datetime | pd.Timestamp) and value.time() == datetime.time():
        return str(value.date())
    return level_text(value).strip()


def _number_text(value: float) -> str:
    """Write a number so that its point can only be a decimal sign: never with three digits behind it."""
    text = level_text(value)
    whole, point, decimals = text.partition(".")
    return f"{text}0" if point and len(decimals) == 3 and whole.lstrip("-").isdigit() else text


# --- names of lists that stand in cells -----------------------------------------------------------------------


def without_formula_signs(name: str, instead: str) -> str:
    """Write a name without control characters and what cannot be read back from the formula of a model.

    Examples
    --------
    >>> without_formula_signs("a, north", "_"), without_formula_signs("police: [east]", " ")
    ('a_north', 'police east')
    """
    return re.sub(r"\s+", " ", _WITHOUT.sub(instead, name)).strip(" ")


def writable(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Take out of the names of lists the signs that the formula of a model could not hold."""
    plain = {name: without_formula_signs(name, " ") for name in names}
    changed = [new for name, new in plain.items() if new != name]
    if not changed or len(set(plain.values())) < len(plain):
        return dict(zip(names, names, strict=True)), []
    return plain, [
        f"signs that a formula cannot hold were taken out of the names of lists: {', '.join(changed)}"
    ]


def one_spelling(column: Column) -> tuple[Column, list[str]]:
    """Take names of lists that differ in capitals and blanks alone for one, spelled as it is met first."""
    keys = [" ".join(level.casefold().split()) for level in column.levels]
    if len(set(keys)) == len(keys):
        return column, []
    first = list(dict.fromkeys(keys))
    levels = tuple(column.levels[keys.index(key)] for key in first)
    places = np.array([*(first.index(key) for key in keys), -1], dtype=np.int64)
    said = f"names of lists that differ in capitals or blanks alone are one list: {', '.join(levels)}"
    return Column(column.name, places[column.codes], levels), [said]
