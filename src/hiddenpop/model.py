"""Hierarchical log-linear models for lists: notation, generators as bit masks, enumeration.

A term is a set of lists, coded as a bit mask like a capture history. A model is hierarchical: with a term it holds
every subset of it. It is written by its generators, the terms that no other term contains.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from hiddenpop._front_door import front_doors
from hiddenpop.errors import ModelError, TableSizeError
from hiddenpop.histories import MAX_LISTS, bit_positions, subset_order

__all__ = ["MAX_ENUMERATED_LISTS", "HierarchicalModel", "enumerate_models", "model_space_size", "notations"]

LONGEST = 100_000
"""Letters of a model in words or brackets."""
MAX_ENUMERATED_LISTS = 6
"""A model of up to six lists fits in the 64 bits of one integer; seven lists have 2.4e12 models."""

DEDEKIND = (2, 3, 6, 20, 168, 7581, 7828354, 2414682040998, 56130437228687557907788)
"""Families of subsets of 0 to 8 elements closed under taking subsets (OEIS A000372)."""

SIX_LIST_SIZES = {3: 3_702_013, 4: 7_741_776}
"""Models of six lists up to an order between 2 and 5, counted by `enumerate_models`."""


@front_doors("__init__")
@dataclass(frozen=True, slots=True)
class HierarchicalModel:
    """A hierarchical log-linear model with all main effects.

    Parameters
    ----------
    n_lists : int
        Number of lists, 1 to 63.
    generators : tuple of int
        Terms as bit masks (bit ``i`` is list ``i``, counted from 0). Terms inside another are dropped, the rest sorted
        from large to small, so equal models compare equal.

    Raises
    ------
    ModelError
        If a generator is empty or names a list beyond `n_lists`, or a list is in no generator.

    Notes
    -----
    The cell mean is ``log mu_w = sum of alpha_theta over the terms theta contained in w`` (Fienberg 1972). Every
    list must appear: a model that leaves one out is refused, not read as if that list were not there.

    References
    ----------
    Fienberg, S. E. (1972). The multiple recapture census for closed populations and incomplete 2^k contingency
    tables. Biometrika 59(3), 591-603. doi:10.1093/biomet/59.3.591

    Examples
    --------
    >>> model = HierarchicalModel.parse("[12,3]", n_lists=3)
    >>> model.generators
    (3, 4)
    >>> model.to_formula(["police", "shelter", "coordinator"])
    'police*shelter + coordinator'
    """

    n_lists: int
    generators: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.n_lists <= MAX_LISTS:
            raise ModelError(f"a model has 1 to {MAX_LISTS} lists; got {self.n_lists}")
        object.__setattr__(self, "generators", tuple(int(term) for term in self.generators))
        everything = (1 << self.n_lists) - 1
        for term in self.generators:
            if term <= 0 or term > everything:
                raise ModelError(
                    f"generator {term} is not a set of {self.n_lists} lists; use masks 1 to {everything}"
                )
        missing = bit_positions(everything & ~_union(self.generators))
        if missing:
            positions = ", ".join(str(i + 1) for i in missing)
            raise ModelError(
                f"the model leaves out list {positions} of {self.n_lists}; every list needs its main effect, "
                f"add it as a generator of its own"
            )
        object.__setattr__(self, "generators", _maximal(self.generators))

    @classmethod
    def parse(
        cls, text: str, *, lists: Sequence[str] | None = None, n_lists: int | None = None
    ) -> "HierarchicalModel":
        """Read a model from the bracket notation or from a formula of list names.

        Parameters
        ----------
        text : str
            ``"[12,3]"``: digits are positions of lists, from 1. With ten or more lists positions are separated by a
            point, ``"[1.2,10]"``. ``"[AB,C]"`` and ``"[police*shelter,coordinator]"`` use names.
            ``"police*shelter + coordinator"`` is a formula; ``police:shelter`` is the term alone. The words
            ``"independence"`` and ``"all-pairs"`` stand for the main effects and for all two-list terms.
        lists : sequence of str, optional
            Names of the lists, in order. Needed for any notation by name.
        n_lists : int, optional
            Number of lists, when there are no names.

        Returns
        -------
        HierarchicalModel

        Raises
        ------
        ModelError
            If the notation cannot be read, names an unknown list, or leaves a list out.

        Examples
        --------
        >>> str(HierarchicalModel.parse("A*B + C", lists=["A", "B", "C"]))
        '[12,3]'
        >>> str(HierarchicalModel.parse("all-pairs", n_lists=3))
        '[12,13,23]'
        """
        if lists is None and n_lists is None:
            raise ModelError("to read a model give the names of the lists, or their number")
        if lists is not None and n_lists not in (None, len(lists)):
            raise ModelError(f"{len(lists)} names were given for {n_lists} lists; leave out n_lists")
        if len(text) > LONGEST:
            raise ModelError(
                f"a model of {len(text):,} letters, beginning {text[:20]!r}; it has at most {LONGEST:,}"
            )
        size = len(lists) if lists is not None else int(n_lists or 0)
        names = tuple(lists) if lists is not None else ()
        word = text.strip().lower().replace("_", "-").replace(" ", "-")
        if word in WORDS and text.strip() not in names:
            return WORDS[word](size)
        bracketed = text.strip().startswith("[")
        generators = _read_brackets(text, names, size) if bracketed else _read_formula(text, names)
        left_out = [name for i, name in enumerate(names) if not _union(generators) >> i & 1]
        if left_out:
            raise ModelError(
                f"model {text!r} leaves out {', '.join(left_out)}; every list needs its main effect, "
                f"add it as a generator of its own"
            )
        return cls(size, generators)

    @classmethod
    def independence(cls, n_lists: int) -> "HierarchicalModel":
        """Give the model of main effects only."""
        return cls(n_lists, tuple(1 << i for i in range(n_lists)))

    @classmethod
    def all_pairs(cls, n_lists: int) -> "HierarchicalModel":
        """Give the model of every two-list term."""
        if n_lists == 1:
            return cls.independence(1)
        pairs = (1 << i | 1 << j for i in range(n_lists) for j in range(i))
        return cls(n_lists, tuple(pairs))

    @classmethod
    def from_term_set(cls, term_set: int, n_lists: int) -> "HierarchicalModel":
        """Decode a term set: an integer whose bit ``theta`` is set when the model holds term ``theta``."""
        return cls(n_lists, tuple(term for term in bit_positions(int(term_set)) if term))

    @property
    def order(self) -> int:
        """Size of the largest term."""
        return max(term.bit_count() for term in self.generators)

    @property
    def terms(self) -> tuple[int, ...]:
        """All terms as masks, by size, the empty one (the intercept) first."""
        return tuple(sorted({sub for term in self.generators for sub in _subsets(term)}, key=subset_order))

    @property
    def term_set(self) -> int:
        """All terms as one integer: bit ``theta`` is set when the model holds term ``theta``."""
        return sum(1 << term for term in self.terms)

    @property
    def n_parameters(self) -> int:
        """Nominal number of parameters, the intercept included."""
        return len(self.terms)

    @property
    def is_saturated(self) -> bool:
        """Whether the model holds the term of all lists, which no observed cell can tell from the dark figure."""
        return self.generators == ((1 << self.n_lists) - 1,)

    def restrict(self, keep: Sequence[int]) -> "HierarchicalModel":
        """Leave lists out of the model: keep those at positions `keep`, renumbered in that order."""
        kept = (sum(1 << new for new, old in enumerate(keep) if term >> old & 1) for term in self.generators)
        return HierarchicalModel(len(keep), tuple(term for term in kept if term))

    def to_formula(self, lists: Sequence[str]) -> str:
        """Write the model with list names, as ``"police*shelter + coordinator"``."""
        if len(lists) != self.n_lists:
            raise ModelError(f"the model has {self.n_lists} lists and {len(lists)} names were given")
        return " + ".join("*".join(lists[i] for i in bit_positions(term)) for term in self.generators)

    def __str__(self) -> str:
        return "[" + ",".join(term_label(term, self.n_lists) for term in self.generators) + "]"


def term_label(term: int, n_lists: int) -> str:
    """Write one term by positions: ``"12"``, or ``"1.12"`` where there are ten or more lists.

    Examples
    --------
    >>> term_label(0b11, 5), term_label(0b11, 12), term_label(0, 3)
    ('12', '1.2', '0')
    """
    separator = "" if n_lists < 10 else "."
    return separator.join(str(i + 1) for i in bit_positions(term)) or "0"


WORDS = {"independence": HierarchicalModel.independence, "all-pairs": HierarchicalModel.all_pairs}


def _union(terms: Iterable[int]) -> int:
    result = 0
    for term in terms:
        result |= term
    return result


def _maximal(terms: Iterable[int]) -> tuple[int, ...]:
    """Keep the terms inside no other, from large to small, by positions within a size."""
    kept: list[int] = []
    for term in sorted(set(terms), key=lambda term: (-term.bit_count(), bit_positions(term))):
        if not any(term & other == term for other in kept):
            kept.append(term)
    return tuple(kept)


def _subsets(term: int) -> Iterator[int]:
    """Yield all subsets of a term, the empty one included."""
    subset = term
    while subset:
        yield subset
        subset = (subset - 1) & term
    yield 0


def _read_brackets(text: str, names: tuple[str, ...], size: int) -> tuple[int, ...]:
    match = re.fullmatch(r"\s*\[(.*)\]\s*", text, flags=re.DOTALL)
    if match is None:
        raise ModelError(f"model {text!r} opens a bracket that it does not close; write it as '[12,3]'")
    tokens = [token.strip() for token in match.group(1).split(",")]
    return tuple(_read_generator(token, names, size, text) for token in tokens)


def _read_generator(token: str, names: tuple[str, ...], size: int, text: str) -> int:
    if not token:
        raise ModelError(f"model {text!r} has an empty generator; write it as '[12,3]'")
    if re.fullmatch(r"[0-9.]+", token):
        return _read_positions(token, size, text)
    parts = re.split(r"\s*[*:.]\s*", token) if token not in names else [token]
    if len(parts) == 1 and token not in names:
        parts = _split_names(token, names, text)
    return _mask([_position(part, names, text) for part in parts], text)


def _read_positions(token: str, size: int, text: str) -> int:
    whole = size >= 10 or "." in token
    parts = [part.lstrip("0") or "0" for part in (token.split(".") if whole else list(token))]
    for part in parts:
        if len(part) > len(str(MAX_LISTS)) or not 1 <= int(part) <= size:
            advice = (
                "separate positions by points, as in '[1.2,10]'"
                if size >= 10
                else f"positions run from 1 to {size}"
            )
            raise ModelError(f"model {text!r}: there is no list {part} among {size}; {advice}")
    return _mask([int(part) - 1 for part in parts], text)


def _split_names(token: str, names: tuple[str, ...], text: str) -> list[str]:
    """Cut a run of names such as ``AB`` into list names, where that can be done in one way only."""
    ways = list(islice(_segmentations(token, names), 2))
    if len(ways) != 1:
        problem = (
            "can be read in more than one way"
            if ways
            else f"is not made of the lists {', '.join(names) or '(none)'}"
        )
        raise ModelError(
            f"model {text!r}: {token!r} {problem}; separate names by '*', as in '[police*shelter,coordinator]'"
        )
    return ways[0]


def _segmentations(token: str, names: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the ways to cut a run of names, each name used once at most."""
    if not token:
        yield []
    for name in names:
        if name and token.startswith(name):
            others = tuple(other for other in names if other != name)
            yield from ([name, *rest] for rest in _segmentations(token[len(name) :], others))


def _position(name: str, names: tuple[str, ...], text: str) -> int:
    if name not in names:
        raise ModelError(
            f"model {text!r}: there is no list {name!r}; the lists are {', '.join(names) or '(no names given)'}"
        )
    return names.index(name)


def _mask(positions: list[int], text: str) -> int:
    if len(set(positions)) < len(positions):
        raise ModelError(
            f"model {text!r} names list {_first_twice(positions) + 1} twice in one generator; once is enough"
        )
    return sum(1 << position for position in positions)


def _first_twice(positions: list[int]) -> int:
    return next(p for i, p in enumerate(positions) if p in positions[:i])


def _read_formula(text: str, names: tuple[str, ...]) -> tuple[int, ...]:
    """Read ``"a*b + c"``; a term ``a:b`` alone needs its subsets to be in the formula too."""
    generators: list[int] = []
    alone: list[int] = []
    for part in text.split("+"):
        token = part.strip()
        if not token:
            raise ModelError(f"model {text!r} has an empty term; write it as 'police*shelter + coordinator'")
        mask = _formula_term(token, names, text)
        (alone if ":" in token and token not in names else generators).append(mask)
    for term in alone:
        absent = _missing_part(term, generators, alone)
        if absent:
            lacking = "*".join(names[i] for i in bit_positions(absent))
            raise ModelError(
                f"model {text!r} is not hierarchical: {lacking!r} is missing; write 'a*b' for a term with its subsets"
            )
    return tuple(generators + alone)


def _missing_part(term: int, generators: Sequence[int], alone: Sequence[int]) -> int:
    """Give a smallest part of a term that the formula does not hold, 0 where it holds all."""
    for position in reversed(bit_positions(term)):
        part = term & ~(1 << position)
        if part and part not in alone and not any(part & whole == part for whole in generators):
            return _missing_part(part, generators, alone) or part
    return 0


def _formula_term(token: str, names: tuple[str, ...], text: str) -> int:
    if token in names:
        return 1 << names.index(token)
    return _mask([_position(part.strip(), names, text) for part in re.split(r"[*:]", token)], text)


def notations(term_sets: npt.NDArray[np.uint64], n_lists: int) -> list[str]:
    """Write many models of up to six lists in bracket notation.

    Parameters
    ----------
    term_sets : ndarray of uint64, shape (m,)
        Models as coded by `enumerate_models`.
    n_lists : int

    Returns
    -------
    list of str

    Examples
    --------
    >>> notations(np.array([0b00010111, 0b00011111], dtype=np.uint64), 3)
    ['[1,2,3]', '[12,3]']
    """
    generators = term_sets & ~_inside_a_larger_term(term_sets, n_lists) & ~np.uint64(1)
    order = sorted(range(1, 1 << n_lists), key=lambda term: (-term.bit_count(), bit_positions(term)))
    labels = [(1 << term, term_label(term, n_lists)) for term in order]
    return [
        "[" + ",".join(label for bit, label in labels if model & bit) + "]" for model in generators.tolist()
    ]


def _inside_a_larger_term(term_sets: npt.NDArray[np.uint64], n_lists: int) -> npt.NDArray[np.uint64]:
    """Mark the terms of each model that one more list would turn into another of its terms."""
    inside = np.zeros_like(term_sets)
    for i in range(n_lists):
        holding = np.uint64(sum(1 << term for term in range(1 << n_lists) if term >> i & 1))
        inside |= (term_sets & holding) >> np.uint64(1 << i)
    return inside


def model_space_size(n_lists: int, max_order: int | None = None) -> int | None:
    """Count the hierarchical models with all main effects, the saturated one apart.

    Parameters
    ----------
    n_lists : int
        Number of lists.
    max_order : int, optional
        Size of the largest term allowed; every order without it.

    Returns
    -------
    int or None
        The count; None where it is not known (seven and more lists beyond two-list terms, nine and more lists).

    Examples
    --------
    >>> [model_space_size(t) for t in (3, 4, 5, 6)]
    [8, 113, 6893, 7785061]
    >>> model_space_size(6, max_order=2)
    32768
    """
    order = n_lists - 1 if max_order is None else min(max_order, n_lists - 1)
    if order <= 1:
        return 1
    if order == 2:
        return int(2 ** math.comb(n_lists, 2))
    if order == n_lists - 1 and n_lists < len(DEDEKIND):
        families: int = sum(
            (-1) ** (n_lists - k) * math.comb(n_lists, k) * DEDEKIND[k] for k in range(n_lists + 1)
        )
        return families - 1
    if n_lists <= 5:
        return sum(len(block) for block in enumerate_models(n_lists, max_order=order))
    return SIX_LIST_SIZES.get(order) if n_lists == 6 else None


def enumerate_models(
    n_lists: int, *, max_order: int | None = None, block_size: int = 1 << 16
) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield every hierarchical model with all main effects as term sets, in blocks.

    Parameters
    ----------
    n_lists : int
        Number of lists, 1 to 6.
    max_order : int, optional
        Size of the largest term allowed; by default every order below `n_lists`. The saturated model is never among
        them: no observed cell can tell its largest term from the dark figure.
    block_size : int
        The most models a block holds.

    Yields
    ------
    ndarray of uint64
        Term sets: bit ``theta`` of an element is set when the model holds term ``theta`` (bit 0 always).

    Raises
    ------
    TableSizeError
        If there are more than six lists.

    Examples
    --------
    >>> sum(len(block) for block in enumerate_models(4))
    113
    >>> [str(HierarchicalModel.from_term_set(s, 3)) for s in next(enumerate_models(3))][:2]
    ['[1,2,3]', '[12,3]']
    """
    if block_size < 1 or (max_order is not None and max_order < 1):
        raise ModelError(f"block_size={block_size} and max_order={max_order} must be at least 1")
    if not 1 <= n_lists <= MAX_ENUMERATED_LISTS:
        raise TableSizeError(
            f"enumeration holds a model in 64 bits, which is enough for {MAX_ENUMERATED_LISTS} lists; got {n_lists}"
        )
    order = n_lists - 1 if max_order is None else min(max_order, n_lists - 1)
    by_order = [[t for t in range(1, 1 << n_lists) if t.bit_count() == size] for size in range(n_lists + 1)]
    start = np.array([1 | sum(1 << t for t in by_order[1])], dtype=np.uint64)
    graphs = _extend(start, by_order[2] if order >= 2 else [])
    higher = [term for size in range(3, order + 1) for term in by_order[size]]
    for chunk in _chunks(graphs, higher, block_size):
        yield from _slices(_extend(chunk, higher), block_size)


def _extend(models: npt.NDArray[np.uint64], terms: Sequence[int]) -> npt.NDArray[np.uint64]:
    """Add to the models every choice of `terms` (given by size) that keeps them hierarchical."""
    for term in terms:
        below = np.uint64(sum(1 << (term & ~(1 << i)) for i in bit_positions(term)))
        eligible = models[(models & below) == below]
        models = np.concatenate([models, eligible | np.uint64(1 << term)])
    return models


def _chunks(
    graphs: npt.NDArray[np.uint64], higher: Sequence[int], size: int
) -> Iterator[npt.NDArray[np.uint64]]:
    """Cut the two-list models so that each piece grows to a bounded number of models."""
    return _slices(graphs, max(1, size >> 10) if higher else size)


def _slices(models: npt.NDArray[np.uint64], size: int) -> Iterator[npt.NDArray[np.uint64]]:
    for start in range(0, len(models), size):
        yield models[start : start + size]
