"""One block of the world, from its seed to its tables."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hiddenpop._typing import Bools, Ints
from hiddenpop.synthetic.world.aftermath import Cases, Measures, draw_cases, draw_measures
from hiddenpop.synthetic.world.captures import Captures, Registrations, draw_captures, draw_registrations
from hiddenpop.synthetic.world.columns import chosen, date_parts, dates, key_digits, packed, text, written
from hiddenpop.synthetic.world.keys import Salt, key_numbers
from hiddenpop.synthetic.world.names import Names, transpose_letters, without_a_letter
from hiddenpop.synthetic.world.persons import Persons, Victims, draw_suspects, draw_victims, place_codes
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
    victims, known = draw_victims(settings, task.victims, rng)
    year, day, suspects = draw_suspects(settings, task.suspects, rng)
    captures = draw_captures(settings, victims, rng)
    registrations = draw_registrations(settings, victims, captures, rng)
    measures = draw_measures(settings, victims, registrations, rng)
    cases = draw_cases(settings, year, day, suspects, rng)
    # Suspects are numbered after the victims; their cases stand in the order of their days.
    people, order = known + suspects, np.argsort(day, kind="stable")
    suspect = len(known) + order
    block = _Block(task, people)
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
        columns |= self._typed(person, factor, rng)
        return columns | {
            "form": chosen(self.people.form[person], settings.forms),
            **self._place(person, year),
        }

    def measures(self, made: Measures, victims: Victims, registrations: Registrations) -> Columns:
        """Make the columns of the protection measures."""
        rules = self.task.settings.measures
        victim = registrations.victim[made.registration]
        person = victims.person[victim]
        never_helped = made.help_day == np.iinfo(np.int64).min
        return {
            "measure": self._records(len(person)),
            **self._key(person, made.day),
            "birth_date": dates(self.people.birth[person]),
            "form": chosen(self.people.form[person], self.task.settings.forms),
            **self._place(person, victims.year[victim]),
            "kind": chosen(made.kind, list(rules.kinds)),
            "measure_date": dates(made.day),
            "help_date": dates(made.help_day),
            "help_route": chosen(np.where(never_helped, -1, made.route), list(rules.routes)),
        }

    def cases(self, made: Cases, year: Ints, day: Ints, order: Ints, person: Ints) -> Columns:
        """Make the columns of the cases."""
        settings = self.task.settings
        people = self.people
        decided, judged = made.decision[order] >= 0, made.verdict[order] >= 0
        sentence = np.where(made.prison[order], 0, 1)
        return {
            "case": self._records(len(order)),
            **self._key(person, day[order]),
            "first_name": text(people.first[person]),
            "last_name": text(people.last[person]),
            "birth_date": dates(people.birth[person]),
            "sex": _sex(people.women[person]),
            "nationality": text(people.nationality[person]),
            **self._place(person, year[order]),
            "year": np.array(settings.years, dtype=np.int32)[year[order]],
            "form": chosen(people.form[person], settings.forms),
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

    def _typed(self, person: Ints, factor: npt.NDArray[np.float64], rng: Generator) -> Columns:
        """Make the columns that somebody typed, with the errors people make."""
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
        return {
            "first_name": text(first, hit(rates.no_first_name)),
            "last_name": text(last, hit(rates.no_last_name)),
            "birth_date": written((year, typed_month, typed_day), hit(rates.no_birth_date)),
            "sex": chosen(np.where(hit(rates.no_sex), -1, people.women[person]), ["M", "F"]),
            "nationality": text(people.nationality[person]),
        }


def _sex(women: Bools) -> Any:
    return chosen(women.astype(np.int64), ["M", "F"])


def _last_names(names: Names, transposed: Bools, dropped: Bools, rng: Generator) -> Names:
    typed = names.copy()
    typed[transposed] = transpose_letters(typed[transposed], rng)
    typed[dropped] = without_a_letter(typed[dropped], rng)
    return typed
