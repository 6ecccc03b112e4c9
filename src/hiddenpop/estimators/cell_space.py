"""What layouts of cells share: combinations that cannot be, and products of columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hiddenpop._cells import unknown_name
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.table import CaptureTable

__all__ = [
    "Combination",
    "check_structural_zeros",
    "products",
    "read_combinations",
]


@dataclass(frozen=True, slots=True)
class Combination:
    """Lists and levels that cannot go together.

    Attributes
    ----------
    lists : tuple of str
    levels : tuple of (str, str)
        Covariate and level.
    """

    lists: tuple[str, ...]
    levels: tuple[tuple[str, str], ...] = ()

    @property
    def factors(self) -> tuple[str, ...]:
        """Lists and covariates in it."""
        return (*self.lists, *(covariate for covariate, _ in self.levels))

    def mask(self, lists: Sequence[str]) -> int | None:
        """Code its lists as a history over `lists`; None where one of them is not among these."""
        if not set(self.lists) <= set(lists):
            return None
        return sum(1 << lists.index(name) for name in self.lists)

    def __str__(self) -> str:
        return "*".join((*self.lists, *(f"{covariate}={level}" for covariate, level in self.levels)))


def check_structural_zeros(
    combinations: Any, kinds: str = "lists", example: str = "police*shelter"
) -> tuple[str, ...]:
    """Refuse what does not read as combinations.

    Examples
    --------
    >>> check_structural_zeros("police * shelter")
    ('police*shelter',)
    """
    given = (combinations,) if isinstance(combinations, str) else tuple(combinations)
    checked = []
    for text in given:
        parts = [part.strip() for part in text.split("*")] if isinstance(text, str) else []
        if len(parts) < 2 or not all(parts) or len(set(parts)) < len(parts):
            raise SettingError(
                f"structural_zeros holds {text!r}; name two or more different {kinds} that cannot go together, "
                f"e.g. {example!r}"
            )
        checked.append("*".join(parts))
    return tuple(checked)


def read_combinations(
    combinations: Sequence[str], table: CaptureTable, levels: Mapping[str, Sequence[str]] | None = None
) -> tuple[Combination, ...]:
    """Find the lists and levels of each combination in a table.

    Parameters
    ----------
    combinations : sequence of str
        Such as ``"police*shelter"`` or ``"police*age=0-11"``.
    table : CaptureTable
    levels : mapping of str to sequence of str, optional
        Levels of the covariates; without it a combination may only name lists.

    Returns
    -------
    tuple of Combination

    Raises
    ------
    UnknownNameError
        For a list, covariate or level that is not there.
    SettingError
        For two levels of one covariate, which nobody has in any case.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> kosovo = hp.datasets.load("kosovo")
    >>> [found.lists for found in read_combinations(("EXH*OSCE",), kosovo)]
    [('EXH', 'OSCE')]
    """
    return tuple(_read_combination(text, table, levels or {}) for text in combinations)


def _read_combination(text: str, table: CaptureTable, levels: Mapping[str, Sequence[str]]) -> Combination:
    parts = text.split("*")
    lists = tuple(part for part in parts if part in table.lists)
    conditions = tuple(_read_level(part, table, levels) for part in parts if part not in table.lists)
    covariates = [covariate for covariate, _ in conditions]
    if len(set(covariates)) < len(covariates):
        raise SettingError(
            f"structural_zeros holds {text!r}, and nobody has two levels of one covariate; write one a level"
        )
    return Combination(lists, conditions)


def _read_level(part: str, table: CaptureTable, levels: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    # A covariate may have the sign in its name, so that every split is tried.
    signs = [at for at, letter in enumerate(part) if letter == "="]
    splits = [(part[:at].strip(), part[at + 1 :].strip()) for at in signs]
    known = [(covariate, level) for covariate, level in splits if covariate in levels]
    if not known:
        raise _unknown_part(part, table, levels)
    for covariate, level in known:
        if level in levels[covariate]:
            return covariate, level
    covariate, level = known[0]
    raise unknown_name(f"level of {covariate!r}", level, levels[covariate])


def _unknown_part(part: str, table: CaptureTable, levels: Mapping[str, Sequence[str]]) -> UnknownNameError:
    plain = str(unknown_name("list", part, table.lists))
    hint = f"did you mean {plain.rsplit('did you mean ', 1)[1]} " if "did you mean" in plain else ""
    kinds = "list, nor a covariate before a sign =" if levels else "list"
    return UnknownNameError(
        f"structural_zeros names {part!r}, and {table.name} has no such {kinds}; {hint}it has "
        f"{', '.join((*table.lists, *(f'{covariate}=...' for covariate in levels)))}"
    )


def products(parts: Iterable[Floats]) -> Floats:
    """All products of one column from each part, the columns of the last part changing fastest."""
    result, *others = parts
    for part in others:
        result = (result[:, :, None] * part[:, None, :]).reshape(len(result), -1)
    return result
