"""Pairs of lists, as the settings of checks name them."""

from typing import Any

from hiddenpop.errors import SettingError

__all__ = ["Pairs", "as_pairs"]

Pairs = tuple[tuple[str, str], ...]


def as_pairs(given: Any) -> Pairs | None:
    """Read pairs of lists; None stands for every pair.

    Raises
    ------
    SettingError
        For anything that is no pair of different lists, a pair that stands twice, and no pairs at all.

    Examples
    --------
    >>> as_pairs([["police", "shelter"]])
    (('police', 'shelter'),)
    """
    if given is None:
        return None
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise SettingError(f'pairs={given!r} must be pairs of lists, such as [("police", "shelter")]')
    pairs = [tuple(pair) if isinstance(pair, tuple | list | set | frozenset) else (pair,) for pair in given]
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(name, str) for name in pair) or pair[0] == pair[1]:
            raise SettingError(f'pairs: {pair!r} is no pair of different lists; write ("police", "shelter")')
    if not pairs or len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise SettingError(f"pairs={given!r} must name pairs of lists, each once")
    return tuple((pair[0], pair[1]) for pair in pairs)
