"""The moves from one capture table to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from hiddenpop import _cells
from hiddenpop._cells import Coverage
from hiddenpop._typing import Ints
from hiddenpop._views import TableViews
from hiddenpop.errors import TableError
from hiddenpop.histories import merge, project

__all__ = ["RNGLike", "TableVerbs"]

RNGLike = int | np.random.Generator | None


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class TableVerbs(TableViews):
    """The verbs of a capture table; each gives a new table that keeps the labels."""

    def drop_list(self, *names: str) -> Self:
        """Take lists away; whoever was only on those becomes hidden and leaves.

        Parameters
        ----------
        *names : str
            Lists to drop.

        Returns
        -------
        CaptureTable
            The people on the lists that are left.

        Raises
        ------
        UnknownNameError
            For a name that does not exist.
        TableError
            If no list or nobody is left.

        Examples
        --------
        >>> from hiddenpop import CaptureTable
        >>> CaptureTable.from_memberships([["a"], ["a", "b"], ["b"]]).drop_list("b").n_observed
        2
        """
        _cells.check_texts("list", names)
        dropped = {self._position(name) for name in names}
        keep = [position for position in range(self.n_lists) if position not in dropped]
        coverage = tuple(entry for entry in self.coverage if entry.list not in names)
        return self._recode([self.lists[i] for i in keep], project(self.histories, keep), coverage)

    def merge_lists(self, mapping: Mapping[str, Sequence[str]]) -> Self:
        """Make one list of several, ``{"new": ["a", "b"]}``: on it is who was on any of them.

        Parameters
        ----------
        mapping : mapping of str to sequence of str
            The parts of each new list.

        Returns
        -------
        CaptureTable
            The same people; a new list stands where its first part stood, and operates where any part does.

        Raises
        ------
        UnknownNameError
            For a name that does not exist.
        TableError
            If a list belongs to two new ones, a new one has no parts or takes the name of another list, or the
            coverage of its parts cannot be said in levels of one covariate.

        Examples
        --------
        >>> from hiddenpop import CaptureTable
        >>> table = CaptureTable.from_memberships([["a"], ["a", "b"], ["c"]])
        >>> table.merge_lists({"ab": ["a", "b"]}).list_totals.to_dict()
        {'ab': 2, 'c': 1}
        """
        _cells.check_mapping(mapping, '{"new": ["a", "b"]}')
        owner = _cells.merger_parts(mapping)
        for part in owner:
            self._position(part)
        groups: dict[str, list[int]] = {}
        for position, name in enumerate(self.lists):
            groups.setdefault(owner.get(name, f"\0{name}"), []).append(position)
        names = [group.removeprefix("\0") for group in groups]
        coverage = self.coverage
        for new, parts in mapping.items():
            coverage = _cells.merge_coverage(coverage, new, parts)
        return self._recode(names, merge(self.histories, list(groups.values())), coverage)

    def collapse(self, *covariates: str) -> Self:
        """Add up over covariates.

        Parameters
        ----------
        *covariates : str
            Covariates to lose; all of them when none is named.

        Returns
        -------
        CaptureTable
            The same people; a cell is censored when any of the cells added up in it is.

        Raises
        ------
        UnknownNameError
            For a name that does not exist.
        TableError
            If a list operates only in some levels of such a covariate: its zeros elsewhere say nothing.

        Examples
        --------
        >>> import pandas as pd
        >>> from hiddenpop import CaptureTable
        >>> people = pd.DataFrame({"a": [1, 1, 0], "b": [0, 0, 1], "region": ["north", "south", "south"]})
        >>> len(CaptureTable.from_indicators(people, strata=["region"]).collapse())
        2
        """
        _cells.check_texts("covariate", covariates)
        gone = set(covariates or self._strata.columns)
        for covariate in gone:
            self._check_covariate(covariate)
        bound = [entry for entry in self.coverage if entry.covariate in gone]
        if bound:
            raise TableError(
                f"cannot collapse {bound[0].covariate!r}: list {bound[0].list!r} operates only in its levels "
                f"{', '.join(map(repr, bound[0].levels))}; select those levels or drop the list first"
            )
        return replace(self, _strata=self._strata.drop(columns=list(gone)))

    def select(self, **levels: object) -> Self:
        """Keep the cells in a level, or in any of several levels, of each covariate named.

        Parameters
        ----------
        **levels : str or list of str
            For each covariate the level, or the levels, to keep.

        Returns
        -------
        CaptureTable
            The people in those strata. A list that operates in all the levels kept no longer has a gap there.

        Raises
        ------
        UnknownNameError
            For a name that does not exist.

        Examples
        --------
        >>> import pandas as pd
        >>> from hiddenpop import CaptureTable
        >>> people = pd.DataFrame({"a": [1, 1, 0], "b": [0, 0, 1], "region": ["north", "south", "south"]})
        >>> CaptureTable.from_indicators(people, strata=["region"]).select(region="south").n_observed
        2
        """
        chosen = {covariate: self._known_levels(covariate, wanted) for covariate, wanted in levels.items()}
        kept = np.ones(len(self), dtype=np.bool_)
        for covariate, wanted in chosen.items():
            kept &= self._strata[covariate].isin(wanted).to_numpy(dtype=np.bool_)
        coverage = (e for e in self.coverage if not chosen.get(e.covariate, {None}) <= set(e.levels))
        return self._recode(self.lists, self.histories * kept, tuple(coverage))

    def split(self, *covariates: str) -> list[tuple[dict[str, str], Self]]:
        """Make a table of each stratum that occurs.

        Parameters
        ----------
        *covariates : str
            Covariates whose levels make the strata; all of them when none is named.

        Returns
        -------
        list of (dict, CaptureTable)
            Levels by covariate, in their order, and the people there. A table keeps the other covariates and loses the
            lists that do not operate there, as their zeros say nothing. Without covariates it is the whole table.

        Raises
        ------
        UnknownNameError
            For a name that does not exist.

        Examples
        --------
        >>> import pandas as pd
        >>> from hiddenpop import CaptureTable
        >>> people = pd.DataFrame({"a": [1, 1, 0], "b": [0, 0, 1], "region": ["north", "south", "south"]})
        >>> table = CaptureTable.from_indicators(people, strata=["region"])
        >>> [(levels["region"], part.n_observed) for levels, part in table.split("region")]
        [('north', 1), ('south', 2)]
        """
        _cells.check_texts("covariate", covariates)
        names = list(covariates or self._strata.columns)
        for covariate in names:
            self._check_covariate(covariate)
        if not names:
            return [({}, self)]
        codes = _cells.stratum_codes(self._strata[names])
        order = np.argsort(codes, kind="stable")
        rows_of = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
        return [self._stratum(names, rows) for rows in rows_of]

    def _stratum(self, names: list[str], rows: npt.NDArray[np.intp]) -> tuple[dict[str, str], Self]:
        levels = {name: str(self._strata[name].iloc[rows[0]]) for name in names}
        idle = {e.list for e in self.coverage if levels.get(e.covariate, e.levels[0]) not in e.levels}
        keep = [i for i, name in enumerate(self.lists) if name not in idle]
        part = replace(
            self,
            lists=tuple(self.lists[i] for i in keep),
            histories=project(self.histories[rows], keep),
            counts=self.counts[rows],
            censored=self.censored[rows],
            _strata=self._strata.iloc[rows].drop(columns=names).reset_index(drop=True),
            coverage=tuple(e for e in self.coverage if e.list not in idle and e.covariate not in levels),
        )
        return levels, part

    def rename(self, names: Mapping[str, str]) -> Self:
        """Give lists and covariates other names.

        Parameters
        ----------
        names : mapping of str to str
            New names by old names.

        Returns
        -------
        CaptureTable
            The same cells.

        Raises
        ------
        UnknownNameError
            For a name that does not exist.
        TableError
            If two lists or covariates would share a name.

        Examples
        --------
        >>> from hiddenpop import CaptureTable
        >>> CaptureTable.from_memberships([["a"], ["b"]]).rename({"a": "police"}).lists
        ('police', 'b')
        """
        _cells.check_mapping(names, '{"old": "new"}')
        known = [*self.lists, *self._strata.columns]
        for old in names:
            if old not in known:
                raise _cells.unknown_name("list or covariate", old, known)
        return replace(
            self,
            lists=tuple(names.get(name, name) for name in self.lists),
            _strata=self._strata.rename(columns=dict(names)),
            coverage=tuple(
                replace(e, list=names.get(e.list, e.list), covariate=names.get(e.covariate, e.covariate))
                for e in self.coverage
            ),
        )

    def resample(self, rng: RNGLike = None) -> Self:
        """Draw as many people as were observed, with replacement, from the observed cells.

        Parameters
        ----------
        rng : int, Generator or None
            Source of randomness; the same integer gives the same table.

        Returns
        -------
        CaptureTable
            As many people, over cells that were observed; a list may have become empty.

        Raises
        ------
        TableError
            If cells are censored: an upper bound is not a number of people to draw from.

        Examples
        --------
        >>> from hiddenpop import CaptureTable
        >>> CaptureTable.from_memberships([["a"], ["a", "b"], ["b"]]).resample(7).n_observed
        3
        """
        if self.has_censored:
            raise TableError("a table with censored counts cannot be resampled: they are only upper bounds")
        shares = self.counts / self.counts.sum()
        return replace(self, counts=np.random.default_rng(rng).multinomial(self.n_observed, shares))

    def with_meta(
        self, *, name: str | None = None, population: str | None = None, public: bool | None = None
    ) -> Self:
        """Change the labels that are given and keep the others.

        Parameters
        ----------
        name, population : str, optional
            Labels.
        public : bool, optional
            Whether small counts may leave.

        Returns
        -------
        CaptureTable
            The same cells.

        Examples
        --------
        >>> from hiddenpop import CaptureTable
        >>> CaptureTable.from_memberships([["a"], ["b"]]).with_meta(name="pilot").name
        'pilot'
        """
        return replace(
            self,
            name=self.name if name is None else name,
            population=self.population if population is None else population,
            public=self.public if public is None else public,
        )

    def _position(self, name: str) -> int:
        if name not in self.lists:
            raise _cells.unknown_name("list", name, self.lists)
        return self.lists.index(name)

    def _check_covariate(self, covariate: str) -> None:
        if covariate not in self._strata.columns:
            raise _cells.unknown_name("covariate", covariate, self._strata.columns)

    def _known_levels(self, covariate: str, wanted: object) -> set[str]:
        self._check_covariate(covariate)
        levels = wanted if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
        chosen = {_cells.level_text(level) for level in levels}
        known = sorted(self._strata[covariate].unique())
        for level in sorted(chosen.difference(known)):
            raise _cells.unknown_name(f"level of {covariate!r}", level, known)
        return chosen

    def _recode(self, lists: Sequence[str], histories: Ints, coverage: tuple[Coverage, ...]) -> Self:
        seen = histories != 0
        return replace(
            self,
            lists=tuple(lists),
            histories=histories[seen],
            counts=self.counts[seen],
            _strata=self._strata[seen],
            censored=self.censored[seen],
            coverage=coverage,
        )
