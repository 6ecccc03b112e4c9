"""Who the victims and the suspects of a block are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Ints
from hiddenpop.synthetic.world.names import Names, draw_names
from hiddenpop.synthetic.world.settings import Ages, KeyRules, Municipality, WorldSettings

__all__ = [
    "DAYS_A_YEAR",
    "Persons",
    "Victims",
    "draw_suspects",
    "draw_victims",
    "first_day",
    "last_day",
    "pick",
    "place_codes",
]

Generator = np.random.Generator

DAYS_A_YEAR = 365.2425
EDGE = 0.004  # keeps a birthday off the day itself, where leap years would decide about the age


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """Persons of a block, one entry each.

    Attributes
    ----------
    women, registered : ndarray of bool, shape (n,)
        Sex, and whether the population register holds the person from the start.
    moved_in : ndarray of int64, shape (n,)
        Day on which somebody outside enters the register; beyond the last day for who never does.
    birth, form, place : ndarray of int64, shape (n,)
        Day of birth, positions of the form and the municipality.
    nationality, first, last : ndarray of bytes, shape (n,)
    """

    women: Bools
    registered: Bools
    moved_in: Ints
    birth: Ints
    form: Ints
    place: Ints
    nationality: npt.NDArray[np.bytes_]
    first: Names
    last: Names

    def __len__(self) -> int:
        return len(self.women)

    def __add__(self, other: "Persons") -> "Persons":
        pairs = {
            field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)
        }
        return Persons(**{name: np.concatenate(pair) for name, pair in pairs.items()})

    @classmethod
    def draw(cls, settings: WorldSettings, who: "_Who", form: Ints, day: Ints, rng: Generator) -> Self:
        """Draw persons with a given form of exploitation, of an age that holds on a given day."""
        forms = settings.forms
        women = rng.random(len(form)) < np.array([who.women[f] for f in forms])[form]
        age = _draw_ages(who.ages, forms, form, rng)
        part = EDGE + (1.0 - 2.0 * EDGE) * rng.random(len(form))
        nationality = _draw_nationality(who.nationality, forms, form, rng)
        registered, moved_in = _draw_register(settings.keys, nationality == b"NL", settings.years, rng)
        first, last = draw_names(women, rng)
        return cls(
            women=women,
            registered=registered,
            moved_in=moved_in,
            birth=day - np.round(DAYS_A_YEAR * (age + part)).astype(np.int64),
            form=form,
            place=pick([place.weight for place in settings.municipality], len(form), rng),
            nationality=nationality,
            first=first,
            last=last,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Victims:
    """Victims of a block, one entry a person and year.

    Attributes
    ----------
    person, year, form : ndarray of int64, shape (n,)
        Positions of the person in the block, of the year and of the form.
    begin, end, last : ndarray of int64, shape (n,)
        First day of exploitation in the year, last day of all exploitation, last day of the year.
    minor : ndarray of bool, shape (n,)
        Under 18 on the day of `begin`.
    hard : ndarray of bool, shape (n,)
        Harder to find.
    """

    person: Ints
    year: Ints
    form: Ints
    begin: Ints
    end: Ints
    last: Ints
    minor: Bools
    hard: Bools

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True, slots=True)
class _Who:
    women: Mapping[str, float]
    ages: Ages
    nationality: Mapping[str, Mapping[str, float]]


def first_day(year: int) -> int:
    """Count the days from 1970 to the first of January."""
    return int(np.datetime64(f"{year:04d}-01-01").astype(np.int64))


def last_day(year: int) -> int:
    """Count the days from 1970 to the last of December."""
    return first_day(year + 1) - 1


def pick(weights: Sequence[float] | npt.NDArray[np.float64], n: int, rng: Generator) -> Ints:
    """Draw n positions by their weights."""
    steps = np.cumsum(np.asarray(weights, dtype=np.float64))
    found = np.searchsorted(steps, rng.random(n) * steps[-1], side="right")
    return np.asarray(found.clip(max=len(steps) - 1), dtype=np.int64)


def draw_victims(settings: WorldSettings, quota: Ints, rng: Generator) -> tuple[Victims, Persons]:
    """Draw the victims of a block.

    Parameters
    ----------
    settings : WorldSettings
    quota : ndarray of int64, shape (years, forms)
        Victims wanted; the numbers drawn are these.
    rng : Generator

    Returns
    -------
    Victims
    Persons
        Who they are, each once.
    """
    rules = settings.victims
    person, year, form = _spread(quota, rules.carried_over, rng)
    first = np.unique(person, return_index=True)[1]
    starts = np.array([first_day(y) for y in settings.years])
    ends = np.array([last_day(y) for y in settings.years])
    begun = _between(starts[year[first]], ends[year[first]], rng)
    who = _Who(rules.women, rules.ages, rules.nationality)
    persons = Persons.draw(settings, who, form[first], begun, rng)
    begin = np.maximum(begun[person], starts[year])
    last_year = np.zeros(len(persons), dtype=np.int64)
    np.maximum.at(last_year, person, year)
    end = _between(np.maximum(begun, starts[last_year]), ends[last_year], rng)
    hard = rng.random(len(persons)) < rules.visibility.less_visible
    return (
        Victims(
            person=person,
            year=year,
            form=form,
            begin=begin,
            end=end[person],
            last=ends[year],
            minor=begin - persons.birth[person] < 18 * DAYS_A_YEAR,
            hard=hard[person],
        ),
        persons,
    )


def draw_suspects(settings: WorldSettings, quota: Ints, rng: Generator) -> tuple[Ints, Ints, Persons]:
    """Draw the suspects of a block.

    Parameters
    ----------
    settings : WorldSettings
    quota : ndarray of int64, shape (years,)
    rng : Generator

    Returns
    -------
    ndarray of int64, shape (n,)
        Position of the year.
    ndarray of int64, shape (n,)
        Day of the suspicion.
    Persons
    """
    rules = settings.suspects
    year = np.repeat(np.arange(len(quota)), quota)
    starts = np.array([first_day(y) for y in settings.years])
    ends = np.array([last_day(y) for y in settings.years])
    day = _between(starts[year], ends[year], rng)
    form = pick([rules.forms[f] for f in settings.forms], len(year), rng)
    who = _Who(dict.fromkeys(settings.forms, rules.women), rules.ages, rules.nationality)
    return year, day, Persons.draw(settings, who, form, day, rng)


def _spread(quota: Ints, carried_over: float, rng: Generator) -> tuple[Ints, Ints, Ints]:
    """Give each victim a person, and some persons several years that follow on each other."""
    parts: list[tuple[Ints, Ints, Ints]] = []
    known = 0
    for form in range(quota.shape[1]):
        before = np.zeros(0, dtype=np.int64)
        for year, wanted in enumerate(quota[:, form].tolist()):
            stay = min(int(rng.binomial(len(before), carried_over)), wanted)
            kept = np.sort(rng.permutation(before)[:stay])
            before = np.concatenate([kept, np.arange(known, known + wanted - stay)])
            known += wanted - stay
            parts.append((before, np.full(wanted, year), np.full(wanted, form)))
    person, years, forms = (np.concatenate(part) for part in zip(*parts, strict=True))
    return person, years, forms


def _between(first: Ints, last: Ints, rng: Generator) -> Ints:
    """Draw a day from the first to the last, both included."""
    return np.asarray(first + (rng.random(len(first)) * (last - first + 1)).astype(np.int64))


def _draw_ages(ages: Ages, forms: Sequence[str], form: Ints, rng: Generator) -> Ints:
    shares = np.cumsum([ages.shares[f] for f in forms], axis=1)[form]
    group = (rng.random(len(form))[:, None] * shares[:, -1:] >= shares).sum(axis=1)
    limits = np.array(ages.groups)[group.clip(max=len(ages.groups) - 1)]
    return _between(limits[:, 0], limits[:, 1], rng)


def _draw_nationality(
    tables: Mapping[str, Mapping[str, float]], forms: Sequence[str], form: Ints, rng: Generator
) -> npt.NDArray[np.bytes_]:
    drawn = np.zeros(len(form), dtype="S2")
    for position, name in enumerate(forms):
        rows = np.flatnonzero(form == position)
        codes = np.array(list(tables[name]), dtype="S2")
        drawn[rows] = codes[pick(list(tables[name].values()), len(rows), rng)]
    return drawn


def _draw_register(rules: KeyRules, dutch: Bools, years: Sequence[int], rng: Generator) -> tuple[Bools, Ints]:
    chance = np.where(dutch, rules.dutch_in_register, rules.foreign_in_register)
    registered = rng.random(len(dutch)) < chance
    start, stop = np.full(len(dutch), first_day(years[0])), np.full(len(dutch), last_day(years[-1]))
    day = _between(start, stop, rng)
    moves = rng.random(len(dutch)) < rules.moves_in
    return registered, np.where(moves, day, np.iinfo(np.int64).max)


def place_codes(places: Sequence[Municipality], years: Sequence[int]) -> npt.NDArray[np.bytes_]:
    """Give the code of each municipality in each year, mergers included, shape ``(municipalities, years)``."""
    into = {place.code: place for place in places}

    def code(place: Municipality, year: int) -> str:
        while place.until is not None and year > place.until:
            place = into[place.into]
        return place.code

    return np.array([[code(place, year) for year in years] for place in places], dtype="S4")
