"""Errors beside those of version 1: other typing errors, ways of writing a foreign name, twins, second names."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Ints
from hiddenpop.errors import SettingError
from hiddenpop.synthetic.world.checks import check_amount, check_chance, check_each
from hiddenpop.synthetic.world.names import Names, replace_letter, transpose_letters, without_a_letter

if TYPE_CHECKING:
    from hiddenpop.synthetic.world.persons import Persons

__all__ = ["HarderRules", "NameMarks", "Typed", "draw_name_marks", "spoil", "with_relatives"]

Generator = np.random.Generator

ABROAD = b"0998"
PARTICLES = (b"van ", b"de ", b"van der ", b"ten ")
SLAVIC: tuple[tuple[tuple[bytes, bytes], ...], ...] = (
    (),
    ((b"v", b"w"), (b"y", b"i"), (b"z", b"zh")),
    ((b"k", b"c"), (b"aa", b"a"), (b"y", b"j")),
)
ARABIC: tuple[tuple[tuple[bytes, bytes], ...], ...] = (
    (),
    ((b"ee", b"i"), (b"o", b"u"), (b"k", b"q")),
    ((b"aa", b"a"), (b"u", b"ou"), (b"d", b"dh")),
)
"""Letters that a way of writing puts in the place of others; the first way changes nothing."""

LONGEST = 40
CHANCES = (
    "first_typo", "last_typo", "birth_digit", "names_swapped", "wrong_sex", "no_nationality", "place_otherwise",
    "place_abroad", "form_otherwise", "no_birth_date_foreign", "no_particle", "particles", "second_name", "twins",
    "siblings",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HarderRules:
    """Chances of errors that version 1 of the world does not have, as ``harder.toml`` explains them.

    Raises
    ------
    SettingError
        For what is not a chance, and fewer than one or more than three ways of writing.
    """

    first_typo: float = 0.0
    last_typo: float = 0.0
    birth_digit: float = 0.0
    names_swapped: float = 0.0
    wrong_sex: float = 0.0
    no_nationality: float = 0.0
    place_otherwise: float = 0.0
    place_abroad: float = 0.0
    form_otherwise: float = 0.0
    no_birth_date_foreign: float = 0.0
    no_particle: float = 0.0
    spellings: int = 1
    slavic: tuple[str, ...] = ()
    arabic: tuple[str, ...] = ()
    particles: float = 0.0
    second_name: float = 0.0
    twins: float = 0.0
    siblings: float = 0.0
    other_files: float = 0.0

    def __post_init__(self) -> None:
        check_each("harder", {name: getattr(self, name) for name in CHANCES}, check_chance)
        check_amount("harder.other_files", self.other_files)
        if self.spellings not in range(1, len(SLAVIC) + 1):
            raise SettingError(
                f"harder.spellings={self.spellings!r} must be a whole number from 1 to {len(SLAVIC)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What stands in the columns of a person in a file, one entry a record.

    Attributes
    ----------
    first, last, nationality, place : ndarray of bytes
    year, month, day : ndarray of int64
        Of birth.
    sex, form : ndarray of int64
        Positions; -1 is a gap.
    no_first, no_last, no_birth : ndarray of bool
    """

    first: Names
    last: Names
    year: Ints
    month: Ints
    day: Ints
    sex: Ints
    nationality: npt.NDArray[np.bytes_]
    place: npt.NDArray[np.bytes_]
    form: Ints
    no_first: Bools
    no_last: Bools
    no_birth: Bools

    def __len__(self) -> int:
        return len(self.sex)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMarks:
    """What belongs to the name of a person: a particle, a second name and the day from which it is used."""

    particle: Names
    second: Names
    since: Ints


def with_relatives(people: "Persons", rules: HarderRules, rng: Generator) -> "Persons":
    """Make some persons twins or siblings of the person before them; a twin has the same day of birth."""
    n = len(people)
    kind = rng.random(n)
    kind[:1] = 1.0
    twin, sibling = kind < rules.twins, (kind >= rules.twins) & (kind < rules.twins + rules.siblings)
    related = twin | sibling
    before = np.maximum.accumulate(
        np.where(related, 0, np.arange(n))
    )  # the last one who is nobody's twin or sibling
    return replace(
        people,
        last=np.where(related, people.last[before], people.last),
        nationality=np.where(related, people.nationality[before], people.nationality),
        place=np.where(related, people.place[before], people.place),
        birth=np.where(twin, people.birth[before], people.birth),
    )


def spoil(
    typed: Typed,
    rules: HarderRules,
    *,
    person: Ints,
    marks: NameMarks,
    registered: Ints,
    register: Ints,
    factor: npt.NDArray[np.float64],
    places: npt.NDArray[np.bytes_],
    n_forms: int,
    rng: Generator,
) -> Typed:
    """Add the errors of version 2 to what was typed.

    Parameters
    ----------
    typed : Typed
    rules : HarderRules
    person : ndarray of int64, shape (n,)
        Position of the person behind each record.
    marks : NameMarks
        Of all persons.
    registered : ndarray of int64, shape (n,)
        Day of each record.
    register : ndarray of int64, shape (n,)
        Position of the register of each record.
    factor : ndarray of float64, shape (n,)
        Of the chances of errors.
    places : ndarray of bytes
        Codes that a place can be mistaken for.
    n_forms : int
    rng : Generator

    Returns
    -------
    Typed
    """
    n = len(typed)

    def hit(chance: float) -> Bools:
        return np.asarray(rng.random(n) < chance * factor)

    first, last = typed.first.astype(f"S{LONGEST}"), _marked(typed.last, marks, person, registered)
    last = _without_particle(last, hit(rules.no_particle))
    first, last = (_written(names, typed.nationality, register, rules) for names in (first, last))
    first, last = _mistyped(first, hit(rules.first_typo), rng), _mistyped(last, hit(rules.last_typo), rng)
    swapped = hit(rules.names_swapped)
    year, month, day = _other_digit(typed, hit(rules.birth_digit), rng)
    abroad, elsewhere = hit(rules.place_abroad), hit(rules.place_otherwise)
    place = np.where(elsewhere, places[rng.integers(len(places), size=n)], typed.place)
    foreign = typed.nationality != b"NL"
    other_form = (typed.form + rng.integers(1, max(n_forms, 2), size=n)) % n_forms
    return replace(
        typed,
        first=np.where(swapped, last, first),
        last=np.where(swapped, first, last),
        no_first=np.where(swapped, typed.no_last, typed.no_first),
        no_last=np.where(swapped, typed.no_first, typed.no_last),
        year=year,
        month=month,
        day=day,
        sex=np.where(hit(rules.wrong_sex) & (typed.sex >= 0), 1 - typed.sex, typed.sex),
        nationality=np.where(hit(rules.no_nationality), b"XX", typed.nationality),
        place=np.where(abroad, ABROAD, place),
        form=np.where(hit(rules.form_otherwise), other_form, typed.form),
        no_birth=typed.no_birth | (hit(rules.no_birth_date_foreign) & foreign),
    )


def draw_name_marks(
    people: "Persons", rules: HarderRules, years: tuple[int, ...], rng: Generator
) -> NameMarks:
    """Draw whose last name has a particle, and who takes a second name on which day."""
    n = len(people)
    has_particle = (people.nationality == b"NL") & (rng.random(n) < rules.particles)
    particle = np.array(PARTICLES, dtype=f"S{LONGEST}")[rng.integers(len(PARTICLES), size=n)]
    takes = people.women & (rng.random(n) < rules.second_name)
    first = int(np.datetime64(f"{years[0]}-01-01").astype(np.int64))
    since = first + (rng.random(n) * 365 * len(years)).astype(np.int64)
    second = people.last[rng.integers(n, size=n)] if n else people.last
    return NameMarks(
        particle=np.where(has_particle, particle, b""),
        second=np.where(takes, second, b""),
        since=since,
    )


def _marked(last: Names, marks: NameMarks, person: Ints, registered: Ints) -> Names:
    """Put second names and particles before last names."""
    plain = last.astype(f"S{LONGEST}")
    second = marks.second[person].astype(f"S{LONGEST}")
    double = np.char.add(np.char.add(second, b"-"), plain).astype(f"S{LONGEST}")
    plain = np.where((second != b"") & (registered >= marks.since[person]), double, plain)
    return np.char.add(marks.particle[person], plain).astype(f"S{LONGEST}")


def _without_particle(last: Names, left_out: Bools) -> Names:
    bare = last
    for particle in PARTICLES:
        bare = np.where(np.char.startswith(bare, particle), np.char.replace(bare, particle, b""), bare)
    return np.where(left_out, bare, last)


def _written(names: Names, nationality: npt.NDArray[np.bytes_], register: Ints, rules: HarderRules) -> Names:
    """Write the names of some nationalities as the register of each record does."""
    way = register % rules.spellings
    found = names
    groups: Mapping[tuple[str, ...], tuple[tuple[tuple[bytes, bytes], ...], ...]] = {
        rules.slavic: SLAVIC,
        rules.arabic: ARABIC,
    }
    for codes, ways in groups.items():
        theirs = (
            np.isin(nationality, np.array(codes, dtype="S2")) if codes else np.zeros(len(names), np.bool_)
        )
        for at in range(1, rules.spellings):
            rows = np.flatnonzero(theirs & (way == at))
            if not rows.size:
                continue
            written = found[rows]
            for old, new in ways[at]:
                written = np.char.replace(written, old, new)
            found = found.copy()
            found[rows] = written.astype(f"S{LONGEST}")
    return found


def _mistyped(names: Names, rows: Bools, rng: Generator) -> Names:
    """Replace, leave out or exchange a letter of some names."""
    kind = rng.integers(3, size=len(names))
    typed = names.copy()
    for at, change in enumerate((replace_letter, without_a_letter, transpose_letters)):
        chosen = rows & (kind == at) & (np.char.str_len(names) > 2)
        typed[chosen] = change(typed[chosen], rng)
    return typed


def _other_digit(typed: Typed, rows: Bools, rng: Generator) -> tuple[Ints, Ints, Ints]:
    """Let one of year, month and day be off by a digit, and stay a date."""
    part = rng.integers(3, size=len(typed))
    off = np.where(rng.random(len(typed)) < 0.5, 1, -1)
    year = np.where(
        rows & (part == 0), typed.year + off * np.where(rng.random(len(typed)) < 0.5, 1, 10), typed.year
    )
    month = np.where(rows & (part == 1), np.clip(typed.month + off, 1, 12), typed.month)
    day = np.where(rows & (part == 2), np.clip(typed.day + off, 1, 28), typed.day)
    moved = (year != typed.year) | (month != typed.month)
    return year, month, np.where(moved, np.minimum(day, 28), day)
