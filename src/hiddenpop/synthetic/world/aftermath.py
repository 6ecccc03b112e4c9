"""What comes after: protection measures and help for minors, and the way of a suspicion through the chain."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Ints
from hiddenpop.synthetic.world.captures import Registrations
from hiddenpop.synthetic.world.persons import Persons, Victims, pick
from hiddenpop.synthetic.world.settings import WorldSettings

__all__ = ["NEVER", "Cases", "Measures", "draw_cases", "draw_measures"]

Generator = np.random.Generator

NEVER = np.iinfo(np.int64).min
"""Stands for a day that does not come, or not before the end of follow-up."""

MINOR_SUBSECTIONS = ("2", "5", "8")
OTHER_SUBSECTIONS = ("1", "4", "6", "9")
FAR = 100 * 365
"""A wait of a century is as good as for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Protection measures, one entry each: position of the registration behind it, days, kind and way of help."""

    registration: Ints
    day: Ints
    help_day: Ints
    kind: Ints
    route: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Cases, one entry a suspect: days and outcomes, `NEVER` and False where the case did not get that far."""

    prosecution: Ints
    decision: Ints
    dismissed: Bools
    verdict: Ints
    convicted: Bools
    prison: Bools
    supervision: Ints
    reoffence: Ints
    subsection: npt.NDArray[np.bytes_]
    offences: Ints


def draw_measures(
    settings: WorldSettings, victims: Victims, registrations: Registrations, rng: Generator
) -> Measures:
    """Draw protection measures for a share of the registered minors, and when help began.

    Parameters
    ----------
    settings : WorldSettings
    victims : Victims
    registrations : Registrations
        In the order of their days.
    rng : Generator

    Returns
    -------
    Measures
        In the order of their days.
    """
    rules = settings.measures
    person = victims.person[registrations.victim]
    first = np.unique(person, return_index=True)[1]
    minors = np.sort(first[victims.minor[registrations.victim[first]]])
    chosen = minors[rng.random(len(minors)) < rules.share]
    wait = (rng.random(len(chosen)) * (rules.within_days + 1)).astype(np.int64)
    day = registrations.day[chosen] + wait
    until_help = _weibull(1.0 - rules.without_help, rules.after_days, rules.shape, len(chosen), rng)
    measures = Measures(
        registration=chosen,
        day=day,
        help_day=_followed(settings, day + until_help),
        kind=pick(list(rules.kinds.values()), len(chosen), rng),
        route=pick(list(rules.routes.values()), len(chosen), rng),
    )
    order = np.argsort(day, kind="stable")
    return Measures(**{name: getattr(measures, name)[order] for name in measures.__slots__})


def draw_cases(settings: WorldSettings, year: Ints, day: Ints, suspects: Persons, rng: Generator) -> Cases:
    """Draw what becomes of each suspicion.

    Parameters
    ----------
    settings : WorldSettings
    year, day : ndarray of int64, shape (n,)
        Position of the year, and the day of the suspicion.
    suspects : Persons
    rng : Generator

    Returns
    -------
    Cases
    """
    rules, n = settings.cases, len(day)
    prosecution = day + _wait(rules.days_to_prosecution, n, rng)
    decision = prosecution + _wait(rules.days_to_decision, n, rng)
    dismissed = rng.random(n) < np.array(rules.dismissed)[year]
    in_court = decision + _wait(rules.days_to_verdict, n, rng)
    verdict = np.where(dismissed, NEVER, in_court)
    convicted = (rng.random(n) < rules.convicted) & ~dismissed
    prison = (rng.random(n) < rules.prison) & convicted
    supervised = (rng.random(n) < rules.supervised) & prison
    released = in_court + _wait(rules.days_to_verdict, n, rng)
    decided, judged = _followed(settings, decision), _followed(settings, verdict)
    return Cases(
        prosecution=_followed(settings, prosecution),
        decision=decided,
        dismissed=dismissed & (decided != NEVER),
        verdict=judged,
        convicted=convicted & (judged != NEVER),
        prison=prison & (judged != NEVER),
        supervision=_followed(settings, np.where(supervised, released, NEVER)),
        reoffence=_reoffences(settings, day, suspects.form, rng),
        subsection=_subsections(settings, suspects.form, rng),
        offences=rng.geometric(1.0 - rules.further_offence, n).astype(np.int64),
    )


def _reoffences(settings: WorldSettings, day: Ints, form: Ints, rng: Generator) -> Ints:
    rules = settings.cases
    again = np.full(len(day), NEVER, dtype=np.int64)
    for position, name in enumerate(settings.forms):
        rows = np.flatnonzero(form == position)
        wait = _weibull(rules.reoffend[name], rules.within_days, rules.reoffend_shape, len(rows), rng)
        again[rows] = day[rows] + wait
    return _followed(settings, again)


def _subsections(settings: WorldSettings, form: Ints, rng: Generator) -> npt.NDArray[np.bytes_]:
    """Draw the sub-section of article 273f: 3 where a border is crossed, 2, 5 or 8 where the victim is a minor."""
    n = len(form)
    minor = rng.random(n) < settings.cases.minor_victim
    young = np.array(MINOR_SUBSECTIONS, dtype="S1")[pick([1.0] * len(MINOR_SUBSECTIONS), n, rng)]
    other = np.array(OTHER_SUBSECTIONS, dtype="S1")[pick([1.0] * len(OTHER_SUBSECTIONS), n, rng)]
    drawn = np.where(minor, young, other)
    crossing = np.array([name.startswith("cross_border") for name in settings.forms])[form]
    return np.where(crossing, b"3", drawn)


def _wait(mean: float, n: int, rng: Generator) -> Ints:
    """Draw waiting times in whole days, one day or more."""
    return 1 + rng.exponential(max(mean - 1.0, 0.0), n).astype(np.int64)


def _weibull(share: float, after: float, shape: float, n: int, rng: Generator) -> Ints:
    """Draw waiting times of which `share` have ended on day `after`, in whole days."""
    uniform = rng.exponential(1.0, n)
    if share == 0.0:
        return np.full(n, FAR, dtype=np.int64)
    if share == 1.0:
        return np.minimum(rng.random(n) * after, after).astype(np.int64)
    scale = after / (-math.log1p(-share)) ** (1.0 / shape)
    return np.asarray(np.ceil(np.minimum(scale * uniform ** (1.0 / shape), FAR)), dtype=np.int64)


def _followed(settings: WorldSettings, day: Ints) -> Ints:
    """Leave out what happens after the end of follow-up."""
    end = int(np.datetime64(settings.followed_until).astype(np.int64))
    return np.asarray(np.where(day > end, NEVER, day))
