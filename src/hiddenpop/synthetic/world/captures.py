"""Which agencies register which victims: what each finds by itself, and what others refer to it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Ints
from hiddenpop.synthetic.world.persons import Victims
from hiddenpop.synthetic.world.settings import WorldSettings

__all__ = ["Captures", "Registrations", "draw_captures", "draw_registrations"]

Generator = np.random.Generator

BY_ITSELF = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Captures:
    """Who is on which list.

    Attributes
    ----------
    caught : ndarray of bool, shape (n, lists)
    day : ndarray of int64, shape (n, lists)
        Day of registration; meaningless where nobody was caught.
    via : ndarray of int64, shape (n, lists)
        Position of the agency that referred the victim, or -1.
    """

    caught: Bools
    day: Ints
    via: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrations:
    """Registrations in the order of their days, one entry each: positions of the victim and the agency."""

    victim: Ints
    agency: Ints
    day: Ints
    via: Ints
    reported: Bools
    investigated: Bools

    def __len__(self) -> int:
        return len(self.victim)


def draw_captures(settings: WorldSettings, victims: Victims, rng: Generator) -> Captures:
    """Let each agency find victims by itself, then take in those referred to it.

    Parameters
    ----------
    settings : WorldSettings
    victims : Victims
    rng : Generator

    Returns
    -------
    Captures

    Notes
    -----
    An agency finds a victim with a chance that depends on the year, the form, the age and how visible the victim is.
    A referral makes two lists depend on each other; visibility makes all of them.
    """
    shape = (len(victims), len(settings.lists))
    caught = rng.random(shape) < _chances(settings, victims)
    day = victims.begin[:, None] + (rng.random(shape) * (victims.last - victims.begin + 1)[:, None]).astype(
        np.int64
    )
    via = np.full(shape, BY_ITSELF, dtype=np.int64)
    # By target, in the order in which agencies act, so that whoever is referred can be referred on.
    for referral in sorted(settings.referral, key=lambda entry: settings.lists.index(entry.target)):
        source, target = settings.lists.index(referral.source), settings.lists.index(referral.target)
        goes = rng.random(len(victims)) < referral.share
        wait = rng.random(len(victims))
        rows = np.flatnonzero(caught[:, source] & ~caught[:, target] & goes)
        latest = np.minimum(day[rows, source] + int(referral.within_days), victims.last[rows])
        caught[rows, target] = True
        day[rows, target] = day[rows, source] + (wait[rows] * (latest - day[rows, source] + 1)).astype(
            np.int64
        )
        via[rows, target] = source
    return Captures(caught=caught, day=day, via=via)


def _chances(settings: WorldSettings, victims: Victims) -> npt.NDArray[np.float64]:
    """Give the chance that each agency itself finds each victim, shape ``(n, lists)``."""
    table = np.array(
        [
            [
                [[chances[form, minor] for minor in (False, True)] for form in settings.forms]
                for chances in (settings.found_chances(year, agency) for agency in settings.lists)
            ]
            for year in range(len(settings.years))
        ]
    )
    mean = table[victims.year, :, victims.form, victims.minor.astype(np.int64)]
    visibility = settings.victims.visibility
    return np.asarray(mean * np.where(victims.hard, visibility.factor, visibility.raised)[:, None])


def draw_registrations(
    settings: WorldSettings, victims: Victims, captures: Captures, rng: Generator
) -> Registrations:
    """Write down every capture, some of them twice, and decide what is reported.

    Parameters
    ----------
    settings : WorldSettings
    victims : Victims
    captures : Captures
    rng : Generator

    Returns
    -------
    Registrations
        In the order of their days.
    """
    victim, agency = np.nonzero(captures.caught)
    day, via = captures.day[victim, agency], captures.via[victim, agency]
    shares = np.array([settings.agency[name].reported for name in settings.lists])
    reported = rng.random(len(victim)) < shares[agency, victims.year[victim]]
    followed = np.array([settings.agency[name].investigated for name in settings.lists])
    investigated = rng.random(len(victim)) < followed[agency]
    again = np.flatnonzero(rng.random(len(victim)) < settings.errors.repeated)
    rows = np.concatenate([np.arange(len(victim)), again])
    later = rng.random(len(again)) * (victims.last[victim[again]] - day[again] + 1)
    day = np.concatenate([day, day[again] + later.astype(np.int64)])
    order = np.lexsort((rng.random(len(rows)), day))
    rows = rows[order]
    return Registrations(
        victim=victim[rows],
        agency=agency[rows],
        day=day[order],
        via=via[rows],
        reported=reported[rows],
        investigated=investigated[rows],
    )
