"""`Claim`: a sentence about the size of a population, such as "more than 10,000", that checks hold answers to."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hiddenpop._front_door import front_doors
from hiddenpop.errors import SettingError
from hiddenpop.result import Estimate, format_persons

__all__ = ["Claim", "as_claim", "claim_or_interval", "tipping_in_words", "tipping_points"]

NUMBER = r"([0-9](?:[0-9.,_ \u00a0\u2009\u202f]*[0-9])?)"
ENGLISH, DUTCH = ",", "."
"""The sign between thousands in a language; the other one is its decimal sign."""
FORMS = (
    ("above", ENGLISH, rf"(?:more than|at least|over|above|>=?)\s*{NUMBER}"),
    ("below", ENGLISH, rf"(?:fewer than|less than|at most|under|below|<=?)\s*{NUMBER}"),
    ("between", ENGLISH, rf"(?:between\s+)?{NUMBER}\s*(?:and|to|-|\u2013)\s*{NUMBER}"),
    ("above", DUTCH, rf"(?:meer dan|minstens|ten ?minste|minimaal|boven(?: de)?)\s*{NUMBER}"),
    ("below", DUTCH, rf"(?:minder dan|hoogstens|hooguit|ten hoogste|maximaal|onder(?: de)?)\s*{NUMBER}"),
    ("between", DUTCH, rf"tussen\s+(?:de\s+)?{NUMBER}\s*(?:en|tot|-|\u2013)\s*(?:de\s+)?{NUMBER}"),
    ("between", DUTCH, rf"(?:van\s+)?{NUMBER}\s+tot\s+{NUMBER}"),
)
"""What a claim says, the sign between thousands in its language, and how it is written."""

_BLANKS = re.compile(r"[_ \u00a0\u2009\u202f]")
_GROUPS = r"[0-9]{{1,3}}(?:{sign}[0-9]{{3}})"


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
        If `low` is above `high`, or one of them is not a number.

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

        Dutch is read as well: "meer dan 10.000", "minder dan 20.000", "tussen 10.000 en 13.000". A number whose sign
        could stand between thousands or before decimals, such as 50.000 in an English claim, is refused.

        Raises
        ------
        SettingError
            If the text is none of these.
        """
        shown = text.strip()
        for form, thousands, pattern in FORMS if len(shown) <= LONGEST else ():
            if found := re.fullmatch(pattern, shown, re.IGNORECASE):
                numbers = [_number(said, thousands, shown) for said in found.groups()]
                return cls(*_ends(form, numbers), shown)
        raise SettingError(
            f'claim={shown[:LONGEST]!r} cannot be read; write "more than 10,000", "fewer than 20,000" or '
            f'"between 10,000 and 13,000", or in Dutch "meer dan 10.000", "minder dan 20.000" or '
            f'"tussen 10.000 en 13.000"'
        )

    def holds(self, n: float) -> bool:
        """Tell whether a size agrees with the claim; an unknown one does not."""
        return self.low <= n <= self.high

    @property
    def ends(self) -> tuple[float, ...]:
        """The finite ends, where the claim begins to fail."""
        return tuple(end for end in (self.low, self.high) if math.isfinite(end))


LONGEST = 200
"""Letters of a claim."""


def _number(said: str, thousands: str, claim: str) -> float:
    """Read a number of a claim; one that can be read in two ways, or in none, is refused."""
    decimal = ENGLISH if thousands == DUTCH else DUTCH
    whole = _BLANKS.sub("", said)
    if whole != said and not re.fullmatch(rf"{_GROUPS.format(sign=_BLANKS.pattern)}+(?:[.,][0-9]+)?", said):
        raise SettingError(f"claim={claim!r}: {said!r} is not a number; write {whole}")
    if re.fullmatch(rf"{_GROUPS.format(sign=re.escape(decimal))}", whole):
        grouped, plain = whole.replace(decimal, ""), whole.replace(decimal, ".")
        other = "Dutch" if thousands == ENGLISH else "English"
        raise SettingError(
            f"claim={claim!r}: {said!r} can be read as {float(plain):g}, or as {int(grouped):,} the {other} way; "
            f"write {grouped}, or {float(plain):g}"
        )
    for sign, point in ((thousands, decimal), (decimal, thousands)):
        groups, decimals = _GROUPS.format(sign=re.escape(sign)), rf"(?:{re.escape(point)}[0-9]{{1,2}})?"
        if re.fullmatch(rf"(?:[0-9]+|{groups}+){decimals}", whole):
            return float(whole.replace(sign, "").replace(point, "."))
    raise SettingError(f"claim={claim!r}: {said!r} is not a number; write it without signs between thousands")


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


# === where along a sweep a claim begins to fail: between which two points, and about where ============================


@dataclass(frozen=True, slots=True)
class Tipping:
    """A place between two points of a sweep where a claim turns from true to false, or back.

    Attributes
    ----------
    holds, fails : float
        The neighbouring points at which the claim holds and fails.
    about : float
        Where the line between the two crosses the end of the claim: N against the setting, or both in logarithms.
        Between the points N may also jump.
    n_holds, n_fails : float
        N at the two.
    """

    holds: float
    fails: float
    about: float
    n_holds: float
    n_fails: float


def tipping_points(x: Sequence[float], n: Sequence[float], claim: Claim, *, log: bool) -> list[Tipping]:
    """Find every pair of neighbouring points between which a claim turns.

    Parameters
    ----------
    x : sequence of float
        The setting, in increasing order.
    n : sequence of float
        N at each; a point without a finite number separates its neighbours.
    claim : Claim
    log : bool
        Whether to interpolate on logarithms; the setting must then be above 0.

    Returns
    -------
    list of Tipping

    Examples
    --------
    >>> found = tipping_points([1.0, 2.0, 4.0], [100.0, 200.0, 400.0], Claim.parse("fewer than 300"), log=True)
    >>> found[0].holds, found[0].fails, round(found[0].about, 6)
    (2.0, 4.0, 3.0)
    """
    found = []
    for at in range(len(x) - 1):
        ends = ((float(x[at]), float(n[at])), (float(x[at + 1]), float(n[at + 1])))
        if not all(math.isfinite(size) for _, size in ends):
            continue
        inside = [claim.holds(size) for _, size in ends]
        if inside[0] != inside[1]:
            holds, fails = ends if inside[0] else ends[::-1]
            found.append(Tipping(holds[0], fails[0], _about(holds, fails, claim, log), holds[1], fails[1]))
    return found


def _about(holds: tuple[float, float], fails: tuple[float, float], claim: Claim, log: bool) -> float:
    end = claim.low if fails[1] < claim.low else claim.high
    if not log:
        return holds[0] + (fails[0] - holds[0]) * (end - holds[1]) / (fails[1] - holds[1])
    if min(holds[1], fails[1], end) <= 0.0:
        return fails[0]
    share = math.log(end / holds[1]) / math.log(fails[1] / holds[1])
    return float(holds[0] * (fails[0] / holds[0]) ** share)


def tipping_in_words(x: Sequence[float], n: Sequence[float], claim: Claim, what: str) -> str:
    """Say at which share a claim begins to fail, between which points it was interpolated, or that it does not.

    Parameters
    ----------
    x, n : sequence of float
        Shares in rising order from that of the data as they are, and the size at each; points without a number are
        skipped.
    claim : Claim
    what : str
        What `x` is, such as ``"a share of missed links"``.

    Returns
    -------
    str
        A sentence that begins with a blank; empty without a number.

    Examples
    --------
    >>> tipping_in_words([0.0, 0.1], [120.0, 100.0], Claim.parse("more than 110"), "a share of missed links")
    ' It begins to fail at a share of missed links of about 5.0 % (interpolated between 0 % and 10 %).'
    """
    known = [(a, b) for a, b in zip(x, n, strict=True) if math.isfinite(b)]
    if not known:
        return ""
    if not claim.holds(known[0][1]):
        return f" It fails already at {what} of {100 * known[0][0]:.3g} %."
    turns = tipping_points([a for a, _ in known], [b for _, b in known], claim, log=False)
    if not turns:
        return f" It does not fail up to {what} of {100 * known[-1][0]:.3g} %."
    first = turns[0]
    between = f"{100 * first.holds:.3g} % and {100 * first.fails:.3g} %"
    return (
        f" It begins to fail at {what} of about {100 * first.about:.1f} % (interpolated between {between})."
    )
