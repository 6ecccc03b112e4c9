"""`Scenario`: a population of known size, and how it comes into a capture table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from hiddenpop._cells import check_names, level_text, unknown_name
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError, TableError
from hiddenpop.estimators.protocol import check_whole
from hiddenpop.model import HierarchicalModel
from hiddenpop.synthetic.drawn import OBSERVED, PERSON, UNKNOWN, Distortion, Drawn
from hiddenpop.synthetic.laws import MAX_LISTS, Law, check_law, history_bits
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["ASSUMPTIONS", "Group", "Scenario"]

ASSUMPTIONS: dict[str, str] = {
    "closed": "Nobody comes or goes while the lists catch: all could be caught by every list, all the time.",
    "linked": "The records of a person, and only those, are linked to each other.",
    "in_scope": "Everybody on a list belongs to the target population.",
    "operating": "Every list operates in every stratum.",
    "independent": "In the population as a whole the lists catch independently of each other.",
    "homogeneous": "One law of capture holds for everybody, in every stratum.",
    "equal_lists": "Every list catches the same share of the population.",
    "rasch": "The lists catch as if each person had one propensity, which adds to the log odds of every list.",
    "known_strata": "The level of every covariate is recorded for everybody caught.",
    "log_linear": "A log-linear model without the interaction of all lists holds; `model` names it.",
}
"""What may hold in a world. What concerns the law of capture is judged before distortions, on all strata added up."""

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SIZE = "n"

MOST_PERSONS = 10**12
"""More than ever lived, and drawn without overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The persons of one stratum, and how they are caught.

    Parameters
    ----------
    size : int
        Persons, 0 or more.
    law : Law
        How they come onto the lists.
    strata : tuple of (str, str), or mapping
        Covariates with the level of each; none by default.

    Raises
    ------
    SettingError
        For a size that is none, or a covariate that is named twice or has a blank level.

    Examples
    --------
    >>> from hiddenpop.synthetic import IndependentLists
    >>> Group(size=500, law=IndependentLists(probabilities=(0.3, 0.2)), strata={"year": 2019}).strata
    (('year', '2019'),)
    """

    size: int
    law: Law
    strata: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_whole("size", self.size, least=0)
        if self.size > MOST_PERSONS:
            raise SettingError(f"size={self.size!r} is more than {MOST_PERSONS:,} persons; ask for fewer")
        object.__setattr__(self, "size", int(self.size))
        given: object = self.strata
        pairs = tuple(given.items()) if isinstance(given, Mapping) else tuple(self.strata)
        strata = tuple((str(name), level_text(level)) for name, level in pairs)
        if len({name for name, _ in strata}) < len(strata):
            raise SettingError(f"strata={strata!r} names a covariate twice; give it one level")
        if any(not level.strip() for _, level in strata):
            raise SettingError(f"strata={strata!r} has a blank level; name it")
        object.__setattr__(self, "strata", strata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A world whose population size is known, from which capture tables are drawn.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and hyphens.
    description : str
        One sentence.
    lists : tuple of str
        Names of the t lists, 2 to 12.
    groups : tuple of Group
        One a stratum, all with the same covariates.
    distortions : tuple of Distortion
        What happens between capture and the table, in order.
    assumptions : frozenset of str
        Names of the `ASSUMPTIONS` that hold in this world.
    model : str, optional
        The hierarchical log-linear model that holds exactly for the population added up over strata.

    Raises
    ------
    SettingError
        For settings that no world can have; nothing has been drawn then.
    UnknownNameError
        For an assumption, or a list or covariate in a distortion, that does not exist.
    ModelError
        If the model cannot be read for these lists.

    Notes
    -----
    The counts of a stratum are multinomial over all 2**t capture histories; persons are never drawn one by one. The
    truth is the size of the target population, whatever the distortions do to the table.

    Examples
    --------
    >>> from hiddenpop.synthetic import IndependentLists
    >>> scenario = Scenario(
    ...     name="example",
    ...     description="Two independent lists.",
    ...     lists=("police", "shelter"),
    ...     groups=(Group(size=1000, law=IndependentLists(probabilities=(0.3, 0.2))),),
    ... )
    >>> scenario.truth, scenario.draw(rng=1).n_observed
    (1000, 433)
    """

    name: str
    description: str
    lists: tuple[str, ...]
    groups: tuple[Group, ...]
    distortions: tuple[Distortion, ...] = ()
    assumptions: frozenset[str] = frozenset()
    model: str | None = None

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(str(self.name)):
            raise SettingError(
                f"name={self.name!r} must be lower-case letters, digits and hyphens, e.g. 'two-lists'"
            )
        for field, kind in (("lists", str), ("groups", Group), ("distortions", Distortion)):
            _make_tuple(self, field, kind)
        object.__setattr__(self, "assumptions", frozenset(self.assumptions))
        if not self.description.strip():
            raise SettingError(f"scenario {self.name!r} has no description; say in a sentence what it is")
        self._check_lists()
        self._check_groups()
        self._check_distortions()
        self._check_assumptions()

    @property
    def truth(self) -> int:
        """Persons of the target population, N."""
        return sum(group.size for group in self.groups)

    @property
    def hidden_share(self) -> float:
        """Expected share of the population on no list, before distortions."""
        return float(self.cell_probabilities()[0])

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates."""
        return tuple(name for name, _ in self.groups[0].strata)

    def truth_by_stratum(self) -> pd.DataFrame:
        """Give the persons of each stratum.

        Returns
        -------
        DataFrame
            One row a stratum: one column per covariate and ``n``, persons.
        """
        rows = [{**dict(group.strata), SIZE: group.size} for group in self.groups]
        return pd.DataFrame(rows, columns=[*self.covariates, SIZE])

    def cell_probabilities(self) -> Floats:
        """Give the chance of each capture history in the whole population, before distortions.

        Returns
        -------
        ndarray of float, shape (2**t,)
            Bit i of the index is set for ``lists[i]``; element 0 is the chance of never being caught.
        """
        cells: Floats = np.zeros(1 << len(self.lists))
        for group in self.groups:
            cells += group.size / self.truth * group.law.cell_probabilities()
        return cells

    def expected_overlaps(self) -> pd.DataFrame:
        """Give the expected number of persons on each pair of lists, before distortions.

        Returns
        -------
        DataFrame, shape (t, t)
            Persons; the expected totals of the lists on the diagonal.
        """
        bits = history_bits(len(self.lists)).astype(np.float64)
        expected = self.truth * (bits.T @ (bits * self.cell_probabilities()[:, None]))
        return pd.DataFrame(expected, index=self.lists, columns=self.lists)

    def expected_overlap(self) -> float:
        """Give the smallest expected number of persons on a pair of lists, before distortions.

        Returns
        -------
        float
            Persons.

        Examples
        --------
        >>> from hiddenpop.synthetic import scenario
        >>> round(scenario("independent-three").expected_overlap(), 6)
        150.0
        """
        expected = self.expected_overlaps().to_numpy()
        return float(expected[np.triu_indices(len(self.lists), k=1)].min())

    def unmet(self, *needed: str) -> tuple[str, ...]:
        """Say in sentences which of some assumptions do not hold.

        Parameters
        ----------
        *needed : str
            Names of `ASSUMPTIONS`.

        Returns
        -------
        tuple of str

        Examples
        --------
        >>> from hiddenpop.synthetic import scenario
        >>> scenario("independent-three").unmet("independent", "equal_lists")
        ('Not so here: Every list catches the same share of the population.',)
        """
        return tuple(f"Not so here: {ASSUMPTIONS[name]}" for name in needed if name not in self.assumptions)

    def by_stratum(self, *by: str) -> "list[Scenario]":
        """Give a scenario for each stratum, before distortions, with what holds there.

        Parameters
        ----------
        *by : str
            Covariates whose levels make the strata; all when left out.

        Returns
        -------
        list of Scenario

        Examples
        --------
        >>> from hiddenpop.synthetic import scenario
        >>> [part.truth for part in scenario("regions-three").by_stratum("region")]
        [1500, 4500]
        """
        from hiddenpop.synthetic.implied import as_implied

        parts: dict[tuple[str, ...], list[Group]] = {}
        for group in self.groups:
            levels = tuple(level for name, level in group.strata if not by or name in by)
            if group.size:
                parts.setdefault(levels, []).append(group)
        return [as_implied(replace(self, groups=tuple(groups), distortions=())) for groups in parts.values()]

    def resized(self, size: int, *, name: str | None = None) -> Self:
        """Make the same world with another number of persons.

        Parameters
        ----------
        size : int
            Persons; strata keep their proportions, to a person.
        name : str, optional
            A name of its own, for a study that holds both.

        Returns
        -------
        Scenario

        Raises
        ------
        SettingError
            For a size below 1.

        Examples
        --------
        >>> from hiddenpop.synthetic import scenario
        >>> scenario("independent-three").resized(500).truth
        500
        """
        check_whole("size", size)
        # The first k groups hold their share of the persons, rounded down, so that the sizes add up to `size`.
        ends = [
            int(size) * before // self.truth for before in np.cumsum([g.size for g in self.groups]).tolist()
        ]
        sizes = np.diff([0, *ends]).tolist()
        groups = tuple(
            replace(group, size=persons) for group, persons in zip(self.groups, sizes, strict=True)
        )
        return replace(self, groups=groups, name=self.name if name is None else name)

    def draw(self, *, rng: RNGLike = None) -> CaptureTable:
        """Draw the table that a researcher would get.

        Parameters
        ----------
        rng : int, Generator or None
            Source of randomness; the same integer gives the same table.

        Returns
        -------
        CaptureTable
            Public. A covariate level that was not recorded is "unknown".

        Raises
        ------
        TableError
            If nobody was caught.

        Examples
        --------
        >>> from hiddenpop.synthetic import scenario
        >>> scenario("independent-two").draw(rng=1)
        CaptureTable 'independent-two': 2 lists (police, shelter), 1,883 observed in 3 cells
        """
        generator = np.random.default_rng(rng)
        drawn = self._drawn(generator)
        for distortion in self.distortions:
            drawn = distortion.apply(drawn, generator)
        return drawn.to_table(name=self.name, population=f"synthetic: {self.description}")

    def draw_people(self, *, rng: RNGLike = None) -> pd.DataFrame:
        """Draw the population person by person, the hidden included.

        Parameters
        ----------
        rng : int, Generator or None
            Source of randomness. The integer that gives a table without distortions gives the same persons here.

        Returns
        -------
        DataFrame
            One row a person in random order: ``person`` (1 to N), one column per covariate, 0/1 a list, and
            ``observed``.

        Notes
        -----
        It is the truth: of the distortions only those take part that decide who is caught, such as a list that does
        not operate somewhere. Records of other persons, linkage errors and levels not recorded do not.

        Examples
        --------
        >>> from hiddenpop.synthetic import scenario
        >>> people = scenario("independent-two").draw_people(rng=1)
        >>> len(people), int(people["observed"].sum())
        (4000, 1883)
        """
        generator = np.random.default_rng(rng)
        drawn = self._drawn(generator)
        for distortion in self.distortions:
            if distortion.alters_capture:
                drawn = distortion.apply(drawn, generator)
        return drawn.to_people(generator)

    def _drawn(self, rng: np.random.Generator) -> Drawn:
        counts = [rng.multinomial(group.size, group.law.cell_probabilities()) for group in self.groups]
        return Drawn(
            lists=self.lists,
            covariates=self.covariates,
            levels=tuple(tuple(level for _, level in group.strata) for group in self.groups),
            counts=np.array(counts, dtype=np.int64),
            population=self.truth,
        )

    def _check_lists(self) -> None:
        if not 2 <= len(self.lists) <= MAX_LISTS:
            raise SettingError(
                f"scenario {self.name!r} has {len(self.lists)} lists; it can have 2 to {MAX_LISTS}"
            )

    def _check_groups(self) -> None:
        where = f"scenario {self.name!r}"
        if not self.groups or not self.truth:
            raise SettingError(f"{where} has no persons; give it a group of at least one")
        covariates, seen = self.covariates, set()
        for number, group in enumerate(self.groups, start=1):
            names = tuple(name for name, _ in group.strata)
            if names != covariates:
                raise SettingError(
                    f"{where}: group {number} has the covariates {names}, the first {covariates}"
                )
            if group.strata in seen:
                raise SettingError(
                    f"{where}: group {number} is the stratum {group.strata} again; join the two"
                )
            seen.add(group.strata)
            check_law(f"{where}, group {number}", group.law, self.lists)
        try:
            check_names(self.lists, [*covariates, PERSON, OBSERVED, SIZE])
        except TableError as error:
            raise SettingError(f"{where}: {error}") from error
        if self.hidden_share >= 1.0:
            raise SettingError(f"{where}: no list can catch anybody; give a list a chance above 0")

    def _check_distortions(self) -> None:
        levels = {
            name: tuple(dict.fromkeys(dict(group.strata)[name] for group in self.groups))
            for name in self.covariates
        }
        for distortion in self.distortions:
            distortion.check(self.lists, levels)
        bound = {getattr(d, "covariate", None) for d in self.distortions if getattr(d, "declared", False)}
        lost = {getattr(d, "covariate", None) for d in self.distortions if hasattr(d, "mechanism")}
        for covariate in sorted(filter(None, bound & lost)):
            raise SettingError(
                f"scenario {self.name!r}: where a list operates is told by {covariate!r}, which is not always "
                f"recorded; let the level {UNKNOWN!r} occur in another covariate"
            )

    def _check_assumptions(self) -> None:
        for assumption in sorted(self.assumptions - set(ASSUMPTIONS)):
            raise unknown_name("assumption", assumption, ASSUMPTIONS)
        if ("log_linear" in self.assumptions) != (self.model is not None):
            raise SettingError(
                f"scenario {self.name!r}: 'log_linear' holds exactly when a model is named, and model={self.model!r}"
            )
        if self.model is None:
            return
        model = HierarchicalModel.parse(self.model, lists=self.lists)
        if model.is_saturated:
            raise SettingError(
                f"scenario {self.name!r}: model={self.model!r} holds the interaction of all lists, so it says nothing"
            )
        object.__setattr__(self, "model", str(model))


def _make_tuple(scenario: Scenario, field: str, kind: type) -> None:
    value: object = getattr(scenario, field)
    if not isinstance(value, tuple | list) or not all(isinstance(item, kind) for item in value):
        raise SettingError(f"{field}={value!r} must be a tuple, each item a {kind.__name__}")
    object.__setattr__(scenario, field, tuple(value))
