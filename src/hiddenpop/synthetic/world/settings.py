"""The settings of the register world as frozen records; impossible values are refused before anything is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_whole
from hiddenpop.synthetic.world.checks import (
    check_amount,
    check_chance,
    check_date,
    check_division,
    check_each,
    check_keys,
    check_known,
    check_length,
    check_table,
)
from hiddenpop.synthetic.world.harder import HarderRules

__all__ = [
    "Agency",
    "Ages",
    "CaseRules",
    "ErrorRates",
    "KeyRules",
    "MeasureRules",
    "Municipality",
    "Referral",
    "SuspectRules",
    "VictimRules",
    "Visibility",
    "WorldSettings",
]

PerYear = tuple[float, ...]
PerForm = Mapping[str, float]
Nationalities = Mapping[str, Mapping[str, float]]
ADULT = 18


def _check_nationality(key: str, shares: Mapping[str, float]) -> None:
    check_table(key, shares)
    check_division(key, shares)
    for code in shares:
        if len(code) != 2 or not (code.isascii() and code.isupper()):
            raise SettingError(f"{key} has the code {code!r}; write two capital letters, XX for any other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """Age groups (first and last completed year) and, for each form, the share of each group."""

    groups: tuple[tuple[int, int], ...]
    shares: Mapping[str, tuple[float, ...]]

    def check(self, key: str, forms: tuple[str, ...]) -> None:
        """Refuse groups that overlap, or shares that do not fit them."""
        after = 0
        check_each(f"{key}.groups", self.groups, lambda name, group: check_length(name, group, 2, "end"))
        for position, group in enumerate(self.groups):
            check_each(f"{key}.groups[{position}]", group, check_amount)
            if not after <= group[0] <= group[1] <= 110:
                raise SettingError(
                    f"{key}.groups[{position}]={list(group)!r} must run upwards, start at {after} or later "
                    "and end at 110 at most"
                )
            after = group[1] + 1
        check_keys(f"{key}.shares", self.shares, forms)
        for form, shares in self.shares.items():
            check_length(f"{key}.shares.{form}", shares, len(self.groups), "age group")
            check_division(f"{key}.shares.{form}", shares)

    def minors(self, form: str) -> float:
        """Share of a form under 18."""
        return sum(
            share * (min(last, ADULT - 1) - first + 1) / (last - first + 1)
            for (first, last), share in zip(self.groups, self.shares[form], strict=True)
            if first < ADULT
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """The share of victims who are harder to find, and the factor on their chances."""

    less_visible: float
    factor: float

    def __post_init__(self) -> None:
        check_chance("victims.visibility.less_visible", self.less_visible)
        check_chance("victims.visibility.factor", self.factor)
        if self.less_visible == 1.0:
            raise SettingError(
                "victims.visibility.less_visible=1.0 leaves nobody to find; give a share below 1"
            )

    @property
    def raised(self) -> float:
        """The factor of everybody else; the mean of both is 1."""
        return (1.0 - self.less_visible * self.factor) / (1.0 - self.less_visible)


@dataclass(frozen=True, slots=True, kw_only=True)
class VictimRules:
    """How many victims a year, and who they are."""

    size: PerYear
    carried_over: float
    forms: Mapping[str, PerYear]
    women: PerForm
    ages: Ages
    nationality: Nationalities
    visibility: Visibility

    def check(self, years: tuple[int, ...]) -> None:
        """Refuse what does not fit the years and the forms."""
        check_table("victims.forms", self.forms)
        forms = tuple(self.forms)
        check_length("victims.size", self.size, len(years), "year")
        check_each("victims.size", self.size, lambda key, value: check_amount(key, value, above=1))
        check_chance("victims.carried_over", self.carried_over)
        for form, shares in self.forms.items():
            check_length(f"victims.forms.{form}", shares, len(years), "year")
        for position, year in enumerate(years):
            check_division(
                f"victims.forms in {year}", {form: shares[position] for form, shares in self.forms.items()}
            )
        check_keys("victims.women", self.women, forms)
        check_each("victims.women", self.women, check_chance)
        self.ages.check("victims.ages", forms)
        check_keys("victims.nationality", self.nationality, forms)
        check_each("victims.nationality", self.nationality, _check_nationality)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """One agency: whom it finds, what it reports, how well it types."""

    found: PerYear
    reported: PerYear
    forms: PerForm
    minors: float
    adults: float
    errors: float = 1.0
    investigated: float = 0.0

    def check(self, key: str, years: tuple[int, ...], forms: tuple[str, ...]) -> None:
        """Refuse what does not fit the years and the forms."""
        for name, values in (("found", self.found), ("reported", self.reported)):
            check_length(f"{key}.{name}", values, len(years), "year")
        check_each(f"{key}.found", self.found, check_amount)
        check_each(f"{key}.reported", self.reported, check_chance)
        check_keys(f"{key}.forms", self.forms, forms)
        check_each(f"{key}.forms", self.forms, check_amount)
        for name, value in (("minors", self.minors), ("adults", self.adults), ("errors", self.errors)):
            check_amount(f"{key}.{name}", value)
        check_chance(f"{key}.investigated", self.investigated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """Of the victims on one list, the share that another agency registers for that reason."""

    source: str
    target: str
    share: float
    within_days: int

    def check(self, key: str, agencies: tuple[str, ...]) -> None:
        """Refuse agencies that are not there, or that act in the other order."""
        check_known(f"{key}.from", self.source, agencies)
        check_known(f"{key}.to", self.target, agencies)
        check_chance(f"{key}.share", self.share)
        check_amount(f"{key}.within_days", self.within_days, above=1)
        if agencies.index(self.source) >= agencies.index(self.target):
            raise SettingError(
                f"{key} goes from {self.source!r} to {self.target!r}, which acts earlier; "
                "a referral goes to an agency further down in the file"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRates:
    """Chances of errors a registration."""

    repeated: float
    transposed: float
    dropped: float
    initial: float
    no_first_name: float
    no_last_name: float
    birth_swapped: float
    birth_year_only: float
    no_birth_date: float
    no_sex: float

    def __post_init__(self) -> None:
        check_each("errors", {name: getattr(self, name) for name in self.__slots__}, check_chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """Who is in the population register, and how often a registration is not matched to it."""

    dutch_in_register: float
    foreign_in_register: float
    unmatched: float
    new_number: float
    moves_in: float

    def __post_init__(self) -> None:
        check_each("keys", {name: getattr(self, name) for name in self.__slots__}, check_chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRules:
    """Protection measures for minors, and the time until help begins."""

    share: float
    within_days: int
    kinds: Mapping[str, float]
    routes: Mapping[str, float]
    without_help: float
    after_days: int
    shape: float

    def __post_init__(self) -> None:
        check_chance("measures.share", self.share)
        check_chance("measures.without_help", self.without_help)
        for name, table in (("kinds", self.kinds), ("routes", self.routes)):
            check_table(f"measures.{name}", table)
        check_division("measures.kinds", self.kinds)
        check_division("measures.routes", self.routes)
        for name in ("within_days", "after_days"):
            check_amount(f"measures.{name}", getattr(self, name), above=1)
        check_amount("measures.shape", self.shape, above=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectRules:
    """How many suspects a year, and who they are."""

    size: PerYear
    forms: PerForm
    women: float
    ages: Ages
    nationality: Nationalities

    def check(self, years: tuple[int, ...], forms: tuple[str, ...]) -> None:
        """Refuse what does not fit the years and the forms."""
        check_length("suspects.size", self.size, len(years), "year")
        check_each("suspects.size", self.size, check_amount)
        check_keys("suspects.forms", self.forms, forms)
        check_division("suspects.forms", self.forms)
        check_chance("suspects.women", self.women)
        self.ages.check("suspects.ages", forms)
        check_keys("suspects.nationality", self.nationality, forms)
        check_each("suspects.nationality", self.nationality, _check_nationality)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRules:
    """What becomes of a suspicion."""

    dismissed: PerYear
    convicted: float
    prison: float
    supervised: float
    further_offence: float
    minor_victim: float
    days_to_prosecution: float
    days_to_decision: float
    days_to_verdict: float
    within_days: int
    reoffend: PerForm
    reoffend_shape: float

    def check(self, years: tuple[int, ...], forms: tuple[str, ...]) -> None:
        """Refuse what does not fit the years and the forms."""
        check_length("cases.dismissed", self.dismissed, len(years), "year")
        check_each("cases.dismissed", self.dismissed, check_chance)
        for name in ("convicted", "prison", "supervised", "further_offence", "minor_victim"):
            check_chance(f"cases.{name}", getattr(self, name))
        if self.further_offence > 0.9:
            raise SettingError(
                f"cases.further_offence={self.further_offence!r} makes cases of endless offences; give 0.9 at most"
            )
        for name in ("days_to_prosecution", "days_to_decision", "days_to_verdict", "within_days"):
            check_amount(f"cases.{name}", getattr(self, name), above=1)
        check_keys("cases.reoffend", self.reoffend, forms)
        check_each("cases.reoffend", self.reoffend, check_chance)
        check_amount("cases.reoffend_shape", self.reoffend_shape, above=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Municipality:
    """A municipality by its code, and what became of it."""

    code: str
    name: str
    weight: float
    until: int | None = None
    into: str = ""

    def check(self, key: str, codes: tuple[str, ...]) -> None:
        """Refuse a code that is none, or a merger into nothing."""
        if self.code != str(self.code) or len(self.code) != 4 or not self.code.isdigit():
            raise SettingError(f"{key}.code={self.code!r} must be text of four digits, with leading zeros")
        check_amount(f"{key}.weight", self.weight)
        if (self.until is None) != (not self.into):
            raise SettingError(
                f"{key} ({self.code}) needs both until and into, or neither; "
                f"got until={self.until!r} and into={self.into!r}"
            )
        if self.into:
            check_known(f"{key}.into", self.into, codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSettings:
    """Every rate, share and rule of the register world.

    Parameters
    ----------
    version : str
        Of the rules.
    years : tuple of int
        The years drawn, one after the other.
    followed_until : str
        Last day of follow-up, YYYY-MM-DD.
    victims, agency, referral, errors, keys, measures, suspects, cases, municipality
        The sections of ``settings.toml``, where each value stands with its source.
    harder : HarderRules or None
        The errors of version 2, of ``harder.toml``; version 1 has none.

    Raises
    ------
    SettingError
        For an impossible value; the message names its key, for instance ``agency.police.reported[4]``.
    UnknownNameError
        For an agency, form or municipality that is not there.

    Examples
    --------
    >>> from hiddenpop.synthetic.world import read_settings
    >>> settings = read_settings()
    >>> settings.agency["police"].found[-1], settings.forms[0]
    (1015, 'domestic_sexual')
    """

    version: str
    years: tuple[int, ...]
    followed_until: str
    victims: VictimRules
    agency: Mapping[str, Agency]
    referral: tuple[Referral, ...]
    errors: ErrorRates
    keys: KeyRules
    measures: MeasureRules
    suspects: SuspectRules
    cases: CaseRules
    municipality: tuple[Municipality, ...]
    harder: HarderRules | None = None

    def __post_init__(self) -> None:
        self._check_period()
        self.victims.check(self.years)
        self._check_agencies()
        self.suspects.check(self.years, self.forms)
        self.cases.check(self.years, self.forms)
        self._check_municipalities()
        self._check_possible()
        self._check_errors()

    @property
    def forms(self) -> tuple[str, ...]:
        """Forms of exploitation."""
        return tuple(self.victims.forms)

    @property
    def lists(self) -> tuple[str, ...]:
        """Agencies that register victims, in the order in which they act."""
        return tuple(self.agency)

    @property
    def size(self) -> int:
        """Victims of the whole country, added up over the years."""
        return round(sum(self.victims.size))

    def found_chances(self, year: int, agency: str) -> dict[tuple[str, bool], float]:
        """Chance that an agency itself finds a victim of mean visibility, by form and whether a minor.

        Parameters
        ----------
        year : int
            Position of the year in `years`.
        agency : str

        Returns
        -------
        dict
            From (form, minor) to the chance.
        """
        rules, who = self.agency[agency], self.victims
        numbers = {form: who.size[year] * shares[year] for form, shares in who.forms.items()}
        weights = {
            (form, minor): rules.forms[form] * (rules.minors if minor else rules.adults)
            for form in self.forms
            for minor in (False, True)
        }
        total = sum(
            numbers[form] * weight * (who.ages.minors(form) if minor else 1.0 - who.ages.minors(form))
            for (form, minor), weight in weights.items()
        )
        rate = rules.found[year] / total if total else 0.0
        return {cell: rate * weight for cell, weight in weights.items()}

    def _check_period(self) -> None:
        years = self.years
        check_each("years", years, check_whole)
        if not years:
            raise SettingError("years is empty; name at least one")
        if years != tuple(range(years[0], years[0] + len(years))) or not 1950 <= years[0] <= 2100:
            raise SettingError(
                f"years={list(years)!r} must follow on each other, one by one, from 1950 or later"
            )
        check_date("followed_until", self.followed_until)
        if int(self.followed_until[:4]) < years[-1]:
            raise SettingError(
                f"followed_until={self.followed_until!r} lies before the last year, {years[-1]}"
            )

    def _check_agencies(self) -> None:
        if len(self.agency) < 2:
            raise SettingError(f"agency has {len(self.agency)} tables; two agencies or more can overlap")
        if len(self.agency) > 15:
            raise SettingError(f"agency has {len(self.agency)} tables; give 15 at most")
        for name, agency in self.agency.items():
            agency.check(f"agency.{name}", self.years, self.forms)
        for position, referral in enumerate(self.referral):
            referral.check(f"referral[{position}]", self.lists)

    def _check_municipalities(self) -> None:
        codes = tuple(place.code for place in self.municipality)
        twice = sorted({str(code) for code in codes if codes.count(code) > 1})
        if twice:
            raise SettingError(f"municipality {twice[0]} stands there twice; remove one")
        for position, place in enumerate(self.municipality):
            place.check(f"municipality[{position}]", codes)
        if not any(place.weight > 0 for place in self.municipality):
            raise SettingError("no municipality has a weight above 0; give at least one")

    def _check_possible(self) -> None:
        """Refuse numbers found that are more than all there are to find."""
        highest = self.victims.visibility.raised
        for name, agency in self.agency.items():
            for position, year in enumerate(self.years):
                chances = self.found_chances(position, name)
                (form, minor), chance = max(chances.items(), key=lambda item: item[1])
                if agency.found[position] and not any(chances.values()):
                    raise SettingError(
                        f"agency.{name}.found[{position}]={agency.found[position]!r}, but its weights forms, minors "
                        "and adults leave it nobody to find; raise one of them"
                    )
                if chance * highest > 1.0:
                    who = "minors" if minor else "adults"
                    raise SettingError(
                        f"agency.{name}.found[{position}]={agency.found[position]!r} asks for a chance of "
                        f"{chance * highest:.2f} for {who} in {form} in {year}; lower it, or the weight of that form"
                    )

    def _check_errors(self) -> None:
        """Refuse factors on errors that make a chance of more than 1."""
        rates = {name: getattr(self.errors, name) for name in ErrorRates.__slots__ if name != "repeated"}
        name, rate = max(rates.items(), key=lambda item: item[1])
        for agency, rules in self.agency.items():
            if rules.errors * rate > 1.0:
                raise SettingError(
                    f"agency.{agency}.errors={rules.errors!r} times errors.{name}={rate!r} is above 1; lower one"
                )
