"""What a linkage is, and the simplest one: `KeyLinkage`, exact on a person key."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from hiddenpop._typing import Ints
from hiddenpop.errors import TableError
from hiddenpop.registers.links import Links
from hiddenpop.registers.registrations import TABLE, Registrations
from hiddenpop.table import RNGLike

__all__ = ["KeyLinkage", "Linkage"]


@runtime_checkable
class Linkage(Protocol):
    """Frozen settings that bring records together to persons, as an `Estimator` brings a table to an estimate."""

    def fit(self, registrations: Registrations, *, rng: RNGLike = None) -> Links:
        """Link the records."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLinkage:
    """Take records with the same person key for one person; a record without a key is a person by itself.

    Notes
    -----
    Of a key of two columns only the kinds that stand for a person count (``key_kinds``, by default "R": a number that
    the population register knows). Whoever is not in the population register is then on one record each, so that links
    are missed above all among foreign victims and the dark figure comes out too large: on the synthetic world half as
    large again as with the true links.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"no": ["1", "2", "3"], "on": ["20190105"] * 3, "id": ["7", "8", "7"]})
    >>> told = {"data": frame, "record": "no", "day": "on", "key": "id"}
    >>> KeyLinkage().fit(Registrations.read({"police": told}, pseudonymise=False))
    Links: 3 records of 2 persons, by KeyLinkage()
    """

    def fit(self, registrations: Registrations, *, rng: RNGLike = None) -> Links:
        """Link the records; nothing is drawn.

        Raises
        ------
        TableError
            If no register has a key.
        """
        if not registrations.has_key:
            raise TableError(
                'no register has a person key; say key = "..." of a register, or link with FellegiSunter'
            )
        return Links(registrations=registrations, persons=persons_by_key(registrations), linkage=self)


def persons_by_key(registrations: Registrations) -> Ints:
    """Give each record the number of its person by the key alone, in the order of first records."""
    found = registrations.connection.execute(
        f"SELECT id, min(id) OVER (PARTITION BY coalesce(CAST(key AS VARCHAR), 'record ' || id)) AS first FROM {TABLE} "
        "ORDER BY id"
    ).fetchnumpy()
    _, persons = np.unique(np.asarray(found["first"], dtype=np.int64), return_inverse=True)
    return np.asarray(persons, dtype=np.int64)
