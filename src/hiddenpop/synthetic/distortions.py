"""Lists that do not operate everywhere, levels that were not recorded, records of persons outside the population."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from hiddenpop._cells import level_text, unknown_name
from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_share
from hiddenpop.synthetic.drawn import UNKNOWN, Counts, Drawn
from hiddenpop.synthetic.laws import Law, check_between, check_law
from hiddenpop.table import Coverage

__all__ = ["ListGap", "MissingLevels", "OverCoverage"]

Levels = Mapping[str, tuple[str, ...]]


@front_doors("__init__")
@dataclass(frozen=True, slots=True, kw_only=True)
class ListGap:
    """A list that operates only in some levels of a covariate, such as some regions or years.

    Parameters
    ----------
    list : str
        Name of the list.
    covariate : str
        Name of the covariate.
    levels : tuple of str
        The levels where it operates.
    declared : bool
        Whether the table says so in its coverage. If not, its zeros elsewhere look like those of other lists.

    Raises
    ------
    SettingError
        If no level is named.
    UnknownNameError
        For a list, covariate or level that does not exist, when the scenario is made.

    Examples
    --------
    >>> ListGap(list="police", covariate="year", levels=(2018, 2019)).levels
    ('2018', '2019')
    """

    alters_capture: ClassVar[bool] = True
    breaks: ClassVar[frozenset[str]] = frozenset({"operating"})

    list: str
    covariate: str
    levels: tuple[str, ...]
    declared: bool = True

    def __post_init__(self) -> None:
        given: object = self.levels
        levels = (given,) if isinstance(given, str) else tuple(self.levels)
        object.__setattr__(self, "levels", tuple(level_text(level) for level in levels))
        if not self.levels:
            raise SettingError(
                f"levels=() says that {self.list!r} operates nowhere; name levels of {self.covariate!r}"
            )

    def check(self, lists: tuple[str, ...], levels: Levels) -> None:
        """Refuse what does not exist."""
        if self.list not in lists:
            raise unknown_name("list", self.list, lists)
        _check_levels(self.covariate, self.levels, levels)

    def apply(self, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """Take away the captures by the list where it does not operate."""
        counts = drawn.counts.copy()
        bit = 1 << drawn.lists.index(self.list)
        histories = np.arange(counts.shape[1])
        caught = histories[histories & bit != 0]
        idle = np.flatnonzero(~drawn.rows_in(self.covariate, self.levels))[:, None]
        counts[idle, caught ^ bit] += counts[idle, caught]
        counts[idle, caught] = 0
        known = (Coverage(self.list, self.covariate, self.levels),) if self.declared else ()
        return replace(drawn, counts=counts, coverage=drawn.coverage + known)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingLevels:
    """Levels of a covariate that were not recorded; the table has them as "unknown".

    Parameters
    ----------
    covariate : str
        Name of the covariate.
    share : float
        Chance, from 0 to 1, that the level of a person caught is missing.
    depends_on : str, optional
        What the chance depends on: the name of a list, of another covariate, or of the covariate itself.
    shares : mapping of str to float, or tuple of pairs
        Chances by level of `depends_on`; ``"1"`` for those on the list and ``"0"`` for the others. Levels that are not
        named have `share`.

    Raises
    ------
    SettingError
        For a chance that is none, or `shares` without `depends_on` or the reverse.
    UnknownNameError
        For a name or level that does not exist, when the scenario is made.

    Examples
    --------
    >>> MissingLevels(covariate="sex", share=0.1, depends_on="police", shares={"1": 0.3}).mechanism
    'MAR'
    >>> MissingLevels(covariate="sex", share=0.1, depends_on="sex", shares={"man": 0.3}).mechanism
    'MNAR'
    """

    alters_capture: ClassVar[bool] = False

    covariate: str
    share: float
    depends_on: str | None = None
    shares: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        check_share("share", self.share)
        given: object = self.shares
        pairs = tuple(given.items()) if isinstance(given, Mapping) else tuple(self.shares)
        for level, share in pairs:
            check_share(f"shares[{level!r}]", share)
        object.__setattr__(self, "shares", tuple((level_text(level), float(share)) for level, share in pairs))
        if len(dict(self.shares)) < len(self.shares):
            raise SettingError(f"shares={self.shares!r} has a level twice; give it one chance")
        if (self.depends_on is None) != (not self.shares):
            raise SettingError(
                f"depends_on={self.depends_on!r} and shares={dict(self.shares)!r} go together; give both or none"
            )

    @property
    def mechanism(self) -> Literal["MCAR", "MAR", "MNAR"]:
        """Missing completely at random, at random given what is observed, or depending on the level itself."""
        if self.depends_on is None:
            return "MCAR"
        return "MNAR" if self.depends_on == self.covariate else "MAR"

    @property
    def breaks(self) -> frozenset[str]:
        """Assumptions that no longer hold."""
        some = self.share > 0.0 or any(share > 0.0 for _, share in self.shares)
        return frozenset({"known_strata"}) if some else frozenset()

    def check(self, lists: tuple[str, ...], levels: Levels) -> None:
        """Refuse what does not exist, and a covariate with a level "unknown" of its own."""
        _check_levels(self.covariate, (), levels)
        if UNKNOWN in levels[self.covariate]:
            raise SettingError(
                f"{self.covariate!r} has a level {UNKNOWN!r}, which stands for one that was not recorded; rename it"
            )
        if self.depends_on is None:
            return
        if self.depends_on not in (*lists, *levels):
            raise unknown_name("list or covariate", self.depends_on, (*lists, *levels))
        known = {**dict.fromkeys(lists, ("0", "1")), **levels}
        _check_levels(self.depends_on, [level for level, _ in self.shares], known)

    def apply(self, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """Move persons to the level "unknown"."""
        chances = self._chances(drawn)
        chances[:, 0] = 0.0  # of those whom nobody caught nothing is recorded
        chances[drawn.rows_in(self.covariate, (UNKNOWN,))] = 0.0
        moved: Counts = rng.binomial(drawn.counts, chances)
        position = drawn.covariates.index(self.covariate)
        unknown = [(*row[:position], UNKNOWN, *row[position + 1 :]) for row in drawn.levels]
        return drawn.with_rows([*drawn.levels, *unknown], np.concatenate([drawn.counts - moved, moved]))

    def _chances(self, drawn: Drawn) -> Floats:
        """Give the chance for each stratum and history, shape ``(s, 2**t)``."""
        chances: Floats = np.full(drawn.counts.shape, self.share)
        for level, share in self.shares:
            if self.depends_on in drawn.lists:
                on = np.arange(drawn.counts.shape[1]) >> drawn.lists.index(self.depends_on) & 1
                chances[:, on == int(level)] = share
            else:
                chances[drawn.rows_in(str(self.depends_on), (level,))] = share
        return chances


@dataclass(frozen=True, slots=True, kw_only=True)
class OverCoverage:
    """Records of persons who do not belong to the target population; the table counts them, the truth does not.

    Parameters
    ----------
    share : float
        Such persons, as a share of the population: 0.1 for one to every ten. They come into the strata in proportion
        to the persons there.
    law : Law
        How they come onto the lists.

    Raises
    ------
    SettingError
        For a share that is negative or above 10, or a law for other lists.

    Examples
    --------
    >>> from hiddenpop.synthetic import IndependentLists
    >>> OverCoverage(share=0.1, law=IndependentLists(probabilities=(0.2, 0.0))).share
    0.1
    """

    alters_capture: ClassVar[bool] = False

    share: float
    law: Law

    def __post_init__(self) -> None:
        check_between("share", self.share, 0.0, 10.0)

    @property
    def breaks(self) -> frozenset[str]:
        """Assumptions that no longer hold."""
        return frozenset({"in_scope"}) if self.share > 0.0 else frozenset()

    def check(self, lists: tuple[str, ...], levels: Levels) -> None:
        """Refuse a law for other lists."""
        check_law("over-coverage", self.law, lists)

    def apply(self, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """Add the records of the others."""
        totals = drawn.counts.sum(axis=1)
        persons = rng.multinomial(round(self.share * drawn.population), totals / totals.sum())
        records: Counts = rng.multinomial(persons, self.law.cell_probabilities())
        records[:, 0] = 0
        return replace(drawn, counts=drawn.counts + records)


def _check_levels(covariate: str, named: "tuple[str, ...] | list[str]", levels: Levels) -> None:
    if covariate not in levels:
        raise unknown_name("covariate", covariate, levels)
    for level in named:
        if level not in levels[covariate]:
            raise unknown_name(f"level of {covariate!r}", level, levels[covariate])
