"""Which covariates may be left out of a model without changing the size of the population."""

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import pandas as pd

from hiddenpop.errors import HiddenpopWarning
from hiddenpop.estimators.cell_space import check_structural_zeros
from hiddenpop.estimators.covariate_coding import check_coding, check_level_order
from hiddenpop.estimators.covariate_design import CovariateDesign, covariate_design
from hiddenpop.estimators.covariate_formula import CovariateModel, factor_label, joint_coding, model_of_table
from hiddenpop.estimators.covariate_gaps import neighbours
from hiddenpop.histories import bit_positions
from hiddenpop.table import CaptureTable

__all__ = ["passive_covariates", "passive_frame"]

MOST_SUBSETS = 2**12
"""Every set of up to twelve covariates is tried; of more, sets that grow one covariate at a time."""


def passive_covariates(
    model: str,
    table: CaptureTable,
    *,
    coding: Mapping[str, Any] | Sequence[tuple[str, Any]] = (),
    levels: Mapping[str, Sequence[str]] | Sequence[tuple[str, Sequence[str]]] = (),
    combinations: str = "crossed",
    structural_zeros: str | Sequence[str] = (),
) -> pd.DataFrame:
    """Tell which covariates of a model are passive: the size of the population is the same without them.

    Parameters
    ----------
    model : str
        As for `CovariateLogLinear`, like the settings that follow.
    table : CaptureTable
    coding, levels : mapping or tuple of pairs
    combinations : {"crossed", "observed"}
    structural_zeros : sequence of str

    Returns
    -------
    DataFrame
        ``covariate``; ``role``, which is ``"active"``, ``"passive"``, or ``"left out"`` of a covariate that is not in
        the model or that does not vary; and ``why``.

    Raises
    ------
    ModelError
        If the model cannot be read, is not hierarchical, or leaves a list out.
    UnknownNameError, CapabilityError, TableError, SettingError
        As for `CovariateLogLinear.fit`.

    Notes
    -----
    Draw a line between any two lists or covariates that a term joins. A set of covariates may be added up without
    changing what the model says of the rest when what surrounds each of its connected parts lies inside one term
    (Asmussen & Edwards 1983), and the covariates there have a coefficient for each level: then the sum over the set is
    a model of the rest in which nothing is missing. The passive covariates are the largest such set. All of them
    together, and any choice from them, may be left out: the estimate of N is the same, as far as it exists, and so are
    those of the subgroups by other covariates when all are left out. They are needed only to give N by their own levels
    (van der Heijden et al. 2012).

    Structural zeros draw lines too. So does a list that does not operate everywhere: it joins all that it interacts
    with and the covariates that its coverage depends on, and these are active in any case. With such lines the rule
    is safe, but may call a covariate active whose absence would change nothing.

    References
    ----------
    Asmussen, S. and Edwards, D. (1983). Collapsibility and response variables in contingency tables. Biometrika 70(3),
    567-578. doi:10.1093/biomet/70.3.567
    van der Heijden, P. G. M., Whittaker, J., Cruyff, M., Bakker, B. and van der Vliet, R. (2012). People born in the
    Middle East but residing in the Netherlands: invariant population size estimates and the role of active and passive
    covariates. Annals of Applied Statistics 6(3), 831-852. doi:10.1214/12-AOAS536

    Examples
    --------
    >>> import hiddenpop as hp
    >>> births = hp.datasets.load("spina_bifida")
    >>> passive_covariates("S1*eth + S2*S3", births)["role"].tolist()
    ['passive']
    >>> passive_covariates("S1*eth + S2*eth + S2*S3", births)["why"].tolist()
    ['stands between S1 and S2, which no term joins']
    """
    whole = model_of_table(model, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        design = covariate_design(
            table,
            covariates=whole.covariates,
            coding=joint_coding(check_coding(coding), whole),
            levels=check_level_order(levels),
            combinations=combinations,
            structural_zeros=check_structural_zeros(structural_zeros, "lists or levels"),
            estimator="passive_covariates",
        )
    return passive_frame(whole.onto(design.factors), design, tuple(map(str, table.strata.columns)))


def passive_frame(
    model: CovariateModel, design: CovariateDesign, covariates: Sequence[str] = ()
) -> pd.DataFrame:
    """Table the covariates of a fitted model, and others that are left out."""
    links = _links(model, design)
    passive = links.largest()
    rows = []
    for name in dict.fromkeys([*map(str, design.strata.columns), *covariates]):
        if name not in design.covariates:
            why = "everybody has one level of it" if name in design.levels else "not in the model"
            rows.append((name, "left out", why))
            continue
        bit = 1 << design.factors.index(name)
        role = "passive" if passive & bit else "active"
        rows.append((name, role, links.why(passive, bit)))
    return pd.DataFrame(rows, columns=["covariate", "role", "why"], dtype=object)


@dataclass(frozen=True, slots=True)
class _Links:
    """What joins the factors of a model, each set of them a bit mask.

    Attributes
    ----------
    factors : tuple of str
    n_lists : int
    generators : tuple of int
        Of the model: a set inside one is saturated.
    edges : tuple of int
        Generators, combinations that cannot be, and what the gaps of a list join.
    coarse : int
        Covariates whose columns do not give each level a coefficient.
    limits : dict of int to str
        Covariates that the coverage of a list depends on, with the name of the list.
    """

    factors: tuple[str, ...]
    n_lists: int
    generators: tuple[int, ...]
    edges: tuple[int, ...]
    coarse: int
    limits: dict[int, str]

    def around(self, part: int) -> int:
        """Give what the edges join with a set of factors."""
        return reduce(or_, (edge for edge in self.edges if edge & part), 0) & ~part

    def component(self, chosen: int, bit: int) -> int:
        """Give the connected part of a set of factors that holds one of them."""
        part = bit
        while (wider := part | self.around(part) & chosen) != part:
            part = wider
        return part

    def parts(self, chosen: int) -> Iterator[int]:
        """Yield the connected parts of a set of factors."""
        while chosen:
            part = self.component(chosen, chosen & -chosen)
            yield part
            chosen &= ~part

    def fault(self, boundary: int) -> str:
        """Say why the model of a boundary is not saturated; nothing where it is."""
        coarse = boundary & self.coarse
        if coarse:
            return f"touches {self._names(coarse)}, whose columns give not every level a coefficient"
        if not boundary or any(boundary & term == boundary for term in self.generators):
            return ""
        for one, other in itertools.combinations(bit_positions(boundary), 2):
            pair = 1 << one | 1 << other
            if not any(pair & term == pair for term in self.generators):
                return f"stands between {self.factors[one]} and {self.factors[other]}, which no term joins"
        return f"stands between {self._names(boundary)}, which no single term joins"

    def may_go(self, chosen: int) -> bool:
        """Whether a set of covariates may be added up."""
        if any(bit & chosen for bit in self.limits):
            return False
        return not any(self.fault(self.around(part)) for part in self.parts(chosen))

    def largest(self) -> int:
        """Give the largest set of covariates that may be added up."""
        bits = [1 << i for i in range(self.n_lists, len(self.factors))]
        if 2 ** len(bits) <= MOST_SUBSETS:
            sizes = range(len(bits), 0, -1)
            every = (sum(chosen) for size in sizes for chosen in itertools.combinations(bits, size))
            return next((chosen for chosen in every if self.may_go(chosen)), 0)
        chosen = sum(bits)
        if self.may_go(chosen):
            return chosen
        chosen = 0
        while found := [bit for bit in bits if not chosen & bit and self.may_go(chosen | bit)]:
            chosen |= found[0]
        return chosen

    def why(self, passive: int, bit: int) -> str:
        """Say in words what makes a covariate active or passive."""
        if bit in self.limits:
            return f"{self.limits[bit]} operates only in some of its levels"
        part = self.component(passive | bit, bit)
        boundary = self.around(part)
        if not passive & bit:
            return self.fault(boundary) or self.fault(self.around(bit))
        with_others = f"together with {self._names(part & ~bit)} " if part != bit else ""
        if not boundary:
            return f"{with_others}touches nothing else"
        joined = ", which one term joins" if boundary.bit_count() > 1 else ""
        return f"{with_others}touches only {factor_label(self.factors, boundary)}{joined}"

    def _names(self, part: int) -> str:
        names = [self.factors[i] for i in bit_positions(part)]
        return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


def _links(model: CovariateModel, design: CovariateDesign) -> _Links:
    """Read off a model and the cells that exist what joins the factors."""
    place = {name: 1 << i for i, name in enumerate(design.factors)}
    zeros = [sum(place[name] for name in set(zero.factors) if name in place) for zero in design.zeros]
    gaps = [neighbours(design, model.terms, 1 << i) | 1 << i for i in bit_positions(design.sometimes_absent)]
    return _Links(
        factors=design.factors,
        n_lists=len(design.lists),
        generators=model.generators,
        edges=tuple({*model.generators, *zeros, *gaps, sum(place[name] for name in _coupled(design))} - {0}),
        coarse=sum(place[name] for name in design.covariates if not design.blocks[name].saturated),
        limits={place[rule.covariate]: rule.list for rule in design.coverage if rule.covariate in place},
    )


def _coupled(design: CovariateDesign) -> list[str]:
    """Covariates whose levels do not occur in every combination with the others, as far as strata are laid out."""
    if design.crossed:
        return []  # what is missing then is a structural zero
    strata = design.strata[list(design.covariates)]
    found = []
    for name in design.covariates:
        others = strata.drop(columns=name).drop_duplicates()
        if len(others.columns) and len(others) * len(design.levels[name]) > len(strata):
            found.append(name)
    return found
