"""`Claim`: a sentence about the size of a population, such as "more than 10,000", that checks hold answers to."""

import math
import re
from dataclasses import dataclass

from hiddenpop._front_door import front_doors
from hiddenpop.errors import SettingError
from hiddenpop.result import Estimate, format_persons

__all__ = ["Claim", "as_claim", "claim_or_interval"]

NUMBER = r"([0-9][0-9,_ ]*(?:\.[0-9]+)?)"
FORMS = {
    "above": re.compile(rf"^(?:more than|at least|over|above|>=?)\s*{NUMBER}$", re.IGNORECASE),
    "below": re.compile(rf"^(?:fewer than|less than|at most|under|below|<=?)\s*{NUMBER}$", re.IGNORECASE),
    "between": re.compile(rf"^(?:between\s+)?{NUMBER}\s*(?:and|to|-)\s*{NUMBER}$", re.IGNORECASE),
}


@front_doors("__init__")
@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence about the size of a population.

    Parameters
    ----------
    low, high : float
        The claim holds for sizes from `low` to `high`, the ends included.
    text : str
        The claim in words.

    Raises
    ------
    SettingError
        If `low` is above `high`, or one of them is no number.

    Examples
    --------
    >>> claim = Claim.parse("more than 10,000")
    >>> claim.holds(12_000), claim.holds(9_000)
    (True, False)
    """

    low: float
    high: float
    text: str

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise SettingError(f"a claim needs low <= high; got low={self.low!r} and high={self.high!r}")

    @classmethod
    def parse(cls, text: str) -> "Claim":
        """Read "more than 10,000", "fewer than 20,000", "between 10,000 and 13,000", or the same with > and <.

        Raises
        ------
        SettingError
            If the text is none of these.
        """
        shown = text.strip()
        for form, pattern in FORMS.items():
            if found := pattern.match(shown):
                numbers = [float(re.sub("[,_ ]", "", number)) for number in found.groups()]
                return cls(*_ends(form, numbers), shown)
        raise SettingError(
            f'claim={text!r} cannot be read; write "more than 10,000", "fewer than 20,000" or '
            f'"between 10,000 and 13,000"'
        )

    def holds(self, n: float) -> bool:
        """Tell whether a size agrees with the claim; an unknown one does not."""
        return self.low <= n <= self.high

    @property
    def ends(self) -> tuple[float, ...]:
        """The finite ends, where the claim begins to fail."""
        return tuple(end for end in (self.low, self.high) if math.isfinite(end))


def _ends(form: str, numbers: list[float]) -> tuple[float, float]:
    if form == "above":
        return numbers[0], math.inf
    return (-math.inf, numbers[0]) if form == "below" else (numbers[0], numbers[1])


def as_claim(claim: str | Claim | None) -> Claim | None:
    """Read a claim given as text.

    Raises
    ------
    SettingError
        If it is neither a claim nor text that says one.
    """
    if claim is None or isinstance(claim, Claim):
        return claim
    if isinstance(claim, str):
        return Claim.parse(claim)
    raise SettingError(f'claim={claim!r} is neither a Claim nor text such as "more than 10,000"')


def claim_or_interval(claim: str | Claim | None, baseline: Estimate) -> Claim:
    """Give the claim, or without one that the answer stays within the interval of the baseline."""
    given = as_claim(claim)
    if given is not None:
        return given
    interval = baseline.interval
    low, high = (
        format_persons(x, interval.width, baseline.n_observed) for x in (interval.low, interval.high)
    )
    return Claim(interval.low, interval.high, f"within the interval of the estimate, {low} to {high}")
