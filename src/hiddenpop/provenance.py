"""What a result depends on: versions, the fingerprint of its table, the random number generator."""

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from numbers import Integral
from typing import Any

import numpy as np

from hiddenpop.errors import SettingError
from hiddenpop.table import RNGLike, TableSummary

__all__ = ["make_provenance"]

RECORDED_PACKAGES = ("hiddenpop", "numpy", "scipy", "pandas", "numba")


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in RECORDED_PACKAGES}}


def make_provenance(table: TableSummary, rng: RNGLike, packages: Sequence[str] = ()) -> dict[str, Any]:
    """Record what a result depends on: versions, the table's fingerprint, the random number generator.

    Parameters
    ----------
    table : TableSummary
    rng : int, Generator or None
        As given to `fit`.
    packages : sequence of str
        Other packages that the numbers depend on.

    Returns
    -------
    dict

    Raises
    ------
    SettingError
        If `rng` is none of these.
    """
    seed: Any = rng
    if not (
        seed is None
        or isinstance(seed, np.random.Generator)
        or (isinstance(seed, Integral) and int(seed) >= 0)
    ):
        raise SettingError(
            f"rng={rng!r} is not a seed; give a whole number of at least 0, a numpy Generator, or None"
        )
    if isinstance(rng, np.random.Generator):
        described: Any = {"bit_generator": type(rng.bit_generator).__name__}
    else:
        described = None if rng is None else {"seed": int(rng)}
    versions = {**_versions(), **{name: version(name) for name in packages}}
    return {"versions": versions, "fingerprint": table.fingerprint, "rng": described}
