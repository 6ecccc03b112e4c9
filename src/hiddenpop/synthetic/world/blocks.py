"""One block of the world, from its seed to its tables."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hiddenpop._typing import Bools, Ints
from hiddenpop.synthetic.world.aftermath import Cases, Measures, draw_cases, draw_measures
from hiddenpop.synthetic.world.captures import Captures, Registrations, draw_captures, draw_registrations
from hiddenpop.synthetic.world.columns import chosen, date_parts, dates, key_digits, packed, text, written
from hiddenpop.synthetic.world.harder import NameMarks, Typed, draw_name_marks, spoil, with_relatives
from hiddenpop.synthetic.world.keys import Salt, key_numbers
from hiddenpop.synthetic.world.names import Names, transpose_letters, without_a_letter
from hiddenpop.synthetic.world.persons import (
    DAYS_A_YEAR,
    Persons,
    Victims,
    draw_suspects,
    draw_victims,
    place_codes,
)
from hiddenpop.synthetic.world.plan import PERSONS_A_BLOCK, RECORDS_A_BLOCK
from hiddenpop.synthetic.world.settings import WorldSettings

__all__ = ["TABLES", "BlockTask", "draw_block"]

Generator = np.random.Generator
Columns = dict[str, Any]

TABLES = ("registrations", "measures", "cases", "persons", "victims", "links")
OUTSIDE, NEW_NUMBERS = 100_000_000, 500_000_000
"""Where the numbers begin of persons outside the population register, and of keys for one registration only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTask:
    """Everything a block needs: its number, what it draws, its generator and the salt of the world's keys."""

    settings: WorldSettings
    number: int
    victims: Ints
    suspects: Ints
    salt: Salt
    rng: Generator


def draw_block(task: BlockTask) -> dict[str, npt.NDArray[np.uint8]]:
    """Draw a block.

    Parameters
    ----------
    task : BlockTask

    Returns
    -------
    dict
        From the name of a table to its content, packed.
    """
    settings, rng = task.settings, task.rng
    # Version 2 has streams of its own, so that what version 1 draws stays as it is.
    kin, *spoilers = rng.spawn(4) if settings.harder is not None else (rng,) * 4
    victims, known = draw_victims(settings, task.victims, rng)
    if settings.harder is not None:
        known = with_relatives(known, settings.harder, kin)
        victims = replace(victims, minor=victims.begin - known.birth[victims.person] < 18 * DAYS_A_YEAR)
    year, day, suspects = draw_suspects(settings, task.suspects, rng)
    captures = draw_captures(settings, victims, rng)
    registrations = draw_registrations(settings, victims, captures, rng)
    measures = draw_measures(settings, victims, registrations, rng)
    cases = draw_cases(settings, year, day, suspects, rng)
    # Suspects are numbered after the victims; their cases stand in the order of their days.
    people, order = known + suspects, np.argsort(day, kind="stable")
    suspect = len(known) + order
    harder = settings.harder
    marks = None if harder is None else draw_name_marks(people, harder, settings.years, kin)
    block = _Block(task, people, tuple(spoilers), marks)
    person = victims.person[registrations.victim]
    tables = {
        "registrations": block.registrations(victims, registrations, person),
        "measures": block.measures(measures, victims, registrations),
        "cases": block.cases(cases, year, day, order, suspect),
        "persons": block.persons(len(known)),
        "victims": block.victims(victims, captures, registrations),
        "links": block.links(
            {"registrations": person, "measures": person[measures.registration], "cases": suspect}
        ),
    }
    return {name: packed(pa.table(columns)) for name, columns in tables.items()}


@dataclass(frozen=True, slots=True)
class _Block:
    task: BlockTask
    people: Persons
    spoilers: tuple[Generator, ...]
    marks: NameMarks | None

    # --- what researchers are given ---

    def registrations(self, victims: Victims, made: Registrations, person: Ints) -> Columns:
        """Make the columns of the registrations."""
        settings, rng = self.task.settings, self.task.rng
        number = self._records(len(made))
        year = victims.year[made.victim]
        columns = {
            "registration": number,
            "agency": chosen(made.agency, settings.lists),
            "date": dates(made.day),
            "year": np.array(settings.years, dtype=np.int32)[year],
            "reported": made.reported,
            "investigated": made.investigated,
            "referred_by": chosen(made.via, settings.lists),
            **self._key(person, made.day, number, rng),
        }
        factor = np.array([settings.agency[name].errors for name in settings.lists])[made.agency]
        typed = self._typed(person, year, factor, rng)
        if settings.harder is not None:
            typed = self._spoilt(typed, person, made.day, made.agency, factor, self.spoilers[0])
        return columns | _names_and_dates(typed) | self._form_and_place(typed, year)

    def measures(self, made: Measures, victims: Victims, registrations: Registrations) -> Columns:
        """Make the columns of the protection measures."""
        rules = self.task.settings.measures
        victim = registrations.victim[made.registration]
        person = victims.person[victim]
        never_helped = made.help_day == np.iinfo(np.int64).min
        typed = self._as_it_is(person, victims.year[victim], made.day, self.spoilers[1])
        return {
            "measure": self._records(len(person)),
            **self._key(person, made.day),
            "birth_date": written((typed.year, typed.month, typed.day), typed.no_birth),
            **self._form_and_place(typed, victims.year[victim]),
            "kind": chosen(made.kind, list(rules.kinds)),
            "measure_date": dates(made.day),
            "help_date": dates(made.help_day),
            "help_route": chosen(np.where(never_helped, -1, made.route), list(rules.routes)),
        }

    def cases(self, made: Cases, year: Ints, day: Ints, order: Ints, person: Ints) -> Columns:
        """Make the columns of the cases."""
        settings = self.task.settings
        decided, judged = made.decision[order] >= 0, made.verdict[order] >= 0
        sentence = np.where(made.prison[order], 0, 1)
        typed = self._as_it_is(person, year[order], day[order], self.spoilers[2])
        where = self._form_and_place(typed, year[order])
        form = where.pop("form")
        return {
            "case": self._records(len(order)),
            **self._key(person, day[order]),
            **_names_and_dates(typed),
            **where,
            "year": np.array(settings.years, dtype=np.int32)[year[order]],
            "form": form,
            "subsection": text(made.subsection[order]),
            "offences": made.offences[order],
            "suspicion_date": dates(day[order]),
            "prosecution_date": dates(made.prosecution[order]),
            "decision_date": dates(made.decision[order]),
            "decision": chosen(np.where(decided, made.dismissed[order], -1), ["summoned", "dismissed"]),
            "verdict_date": dates(made.verdict[order]),
            "verdict": chosen(np.where(judged, made.convicted[order], -1), ["acquitted", "convicted"]),
            "sentence": chosen(np.where(made.convicted[order], sentence, -1), ["prison", "other"]),
            "supervision_date": dates(made.supervision[order]),
            "reoffence_date": dates(made.reoffence[order]),
        }

    # --- what only the truth holds ---

    def persons(self, n_victims: int) -> Columns:
        """Make the columns of the true persons."""
        people = self.people
        rows = np.arange(len(people))
        return {
            "person": self._numbers(rows),
            "role": chosen((rows >= n_victims).astype(np.int64), ["victim", "suspect"]),
            "first_name": text(people.first),
            "last_name": text(people.last),
            "birth_date": dates(people.birth),
            "sex": _sex(people.women),
            "nationality": text(people.nationality),
            "in_register": people.registered,
        }

    def victims(self, victims: Victims, captures: Captures, made: Registrations) -> Columns:
        """Make the columns of the true victims, one row a person and year, hidden ones included."""
        settings = self.task.settings
        reported = np.zeros(len(victims), dtype=np.bool_)
        reported[made.victim[made.reported]] = True
        caught = {name: captures.caught[:, i].astype(np.int8) for i, name in enumerate(settings.lists)}
        return {
            "person": self._numbers(victims.person),
            "year": np.array(settings.years, dtype=np.int32)[victims.year],
            "form": chosen(victims.form, settings.forms),
            "sex": _sex(self.people.women[victims.person]),
            "minor": victims.minor,
            **self._place(victims.person, victims.year),
            "begin_date": dates(victims.begin),
            "end_date": dates(victims.end),
            "less_visible": victims.hard,
            "registered": captures.caught.any(axis=1),
            "reported": reported,
            **caught,
        }

    def links(self, files: dict[str, Ints]) -> Columns:
        """Make the columns that say which person is behind which record of which file."""
        sizes = [len(person) for person in files.values()]
        return {
            "file": chosen(np.repeat(np.arange(len(files)), sizes), list(files)),
            "record": np.concatenate([self._records(size) for size in sizes]),
            "person": self._numbers(np.concatenate(list(files.values()))),
        }

    # --- pieces ---

    def _records(self, n: int) -> Ints:
        return self.task.number * RECORDS_A_BLOCK + np.arange(1, n + 1)

    def _numbers(self, person: Ints) -> Ints:
        return self.task.number * PERSONS_A_BLOCK + person + 1

    def _place(self, person: Ints, year: Ints) -> Columns:
        settings = self.task.settings
        codes = place_codes(settings.municipality, settings.years)
        return {
            "municipality": text(codes[self.people.place[person], year]),
            "municipality_year": np.array(settings.years, dtype=np.int32)[year],
        }

    def _key(
        self, person: Ints, day: Ints, record: Ints | None = None, rng: Generator | None = None
    ) -> Columns:
        """Make the person key; with records, some are not matched and some outside the register get a new number."""
        rules = self.task.settings.keys
        found = self.people.registered[person] | (day >= self.people.moved_in[person])
        number = self._numbers(person) + np.where(found, 0, OUTSIDE)
        if record is not None and rng is not None:
            unmatched = found & (rng.random(len(person)) < rules.unmatched)
            renumbered = ~found & (rng.random(len(person)) < rules.new_number)
            number = np.where(unmatched | renumbered, NEW_NUMBERS + record, number)
            found = found & ~unmatched
        return {
            "RINPERSOONS": chosen(found.astype(np.int64), ["S", "R"]),
            "RINPERSOON": key_digits(key_numbers(number, self.task.salt)),
        }

    def _form_and_place(self, typed: Typed, year: Ints) -> Columns:
        settings = self.task.settings
        return {
            "form": chosen(typed.form, settings.forms),
            "municipality": text(typed.place),
            "municipality_year": np.array(settings.years, dtype=np.int32)[year],
        }

    def _as_it_is(self, person: Ints, year: Ints, day: Ints, rng: Generator) -> Typed:
        """Give what stands in a file without errors in version 1, and with those of version 2 otherwise."""
        people, harder = self.people, self.task.settings.harder
        born_year, born_month, born_day = date_parts(people.birth[person])
        codes = place_codes(self.task.settings.municipality, self.task.settings.years)
        nobody = np.zeros(len(person), dtype=np.bool_)
        typed = Typed(
            first=people.first[person],
            last=people.last[person],
            year=born_year,
            month=born_month,
            day=born_day,
            sex=people.women[person].astype(np.int64),
            nationality=people.nationality[person],
            place=codes[people.place[person], year],
            form=people.form[person],
            no_first=nobody,
            no_last=nobody,
            no_birth=nobody,
        )
        if harder is None or harder.other_files == 0.0:
            return typed
        factor = np.full(len(person), harder.other_files)
        return self._spoilt(typed, person, day, np.zeros(len(person), dtype=np.int64), factor, rng)

    def _spoilt(
        self,
        typed: Typed,
        person: Ints,
        day: Ints,
        register: Ints,
        factor: npt.NDArray[np.float64],
        rng: Generator,
    ) -> Typed:
        """Add the errors of version 2."""
        settings = self.task.settings
        if settings.harder is None or self.marks is None:
            return typed
        return spoil(
            typed,
            settings.harder,
            person=person,
            marks=self.marks,
            registered=day,
            register=register,
            factor=factor,
            places=np.unique(place_codes(settings.municipality, settings.years)),
            n_forms=len(settings.forms),
            rng=rng,
        )

    def _typed(self, person: Ints, at_year: Ints, factor: npt.NDArray[np.float64], rng: Generator) -> Typed:
        """Make what somebody typed, with the errors people make."""
        rates, people = self.task.settings.errors, self.people

        def hit(chance: float) -> Bools:
            return np.asarray(rng.random(len(person)) < chance * factor)

        last = _last_names(people.last[person], hit(rates.transposed), hit(rates.dropped), rng)
        first = np.where(hit(rates.initial), people.first[person].astype("S1"), people.first[person])
        year, month, day = date_parts(people.birth[person])
        swapped = hit(rates.birth_swapped) & (day <= 12)
        year_only = hit(rates.birth_year_only)
        typed_month = np.where(year_only, 1, np.where(swapped, day, month))
        typed_day = np.where(year_only, 1, np.where(swapped, month, day))
        codes = place_codes(self.task.settings.municipality, self.task.settings.years)
        return Typed(
            first=first,
            last=last,
            year=year,
            month=typed_month,
            day=typed_day,
            no_first=hit(rates.no_first_name),
            no_last=hit(rates.no_last_name),
            no_birth=hit(rates.no_birth_date),
            sex=np.where(hit(rates.no_sex), -1, people.women[person].astype(np.int64)),
            nationality=people.nationality[person],
            place=codes[people.place[person], at_year],
            form=people.form[person],
        )


def _names_and_dates(typed: Typed) -> Columns:
    """Make the columns of a person's names, birth, sex and nationality."""
    return {
        "first_name": text(typed.first, typed.no_first),
        "last_name": text(typed.last, typed.no_last),
        "birth_date": written((typed.year, typed.month, typed.day), typed.no_birth),
        "sex": chosen(typed.sex, ["M", "F"]),
        "nationality": text(typed.nationality),
    }


def _sex(women: Bools) -> Any:
    return chosen(women.astype(np.int64), ["M", "F"])


def _last_names(names: Names, transposed: Bools, dropped: Bools, rng: Generator) -> Names:
    typed = names.copy()
    typed[transposed] = transpose_letters(typed[transposed], rng)
    typed[dropped] = without_a_letter(typed[dropped], rng)
    return typed
