"""`Ledger`: what has left of each table, so that the next release is audited with all before it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hiddenpop._files import write_text
from hiddenpop.disclosure.earlier import Disclosed, plain_disclosed, read_knowledge
from hiddenpop.disclosure.release import Release
from hiddenpop.errors import SettingError

__all__ = ["Ledger"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A folder inside that keeps what has left, by fingerprint of the table.

    Parameters
    ----------
    folder : str or Path
        Made for its owner alone. It holds base counts, and stays inside.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from hiddenpop.disclosure import Base, OutputTable, release
    >>> base = Base(name="city", frame=pd.DataFrame({"town": ["a", "b", "c", "d"]}), counts=[7, 30, 31, 44])
    >>> all_of_it = OutputTable.of_sums("all", base, pd.DataFrame({"who": ["all"]}), base.sums([{}]))
    >>> not_a = OutputTable.of_sums(
    ...     "not a", base, pd.DataFrame({"who": ["not a"]}), base.sums([{"town": ["b", "c", "d"]}])
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Ledger(folder + "/ledger")
    ...     _ = ledger.add(release([all_of_it]), table="fingerprint of the table")
    ...     later = release([not_a], earlier=ledger.earlier("fingerprint of the table"))
    >>> later.frames["not a"]["count"].tolist()
    ['.']
    """

    folder: str | Path

    def earlier(self, table: str) -> list[dict[str, Disclosed]]:
        """Give what has left of a table, oldest first, as `release` takes it.

        Parameters
        ----------
        table : str
            Its fingerprint.

        Returns
        -------
        list of dict of str to Disclosed

        Raises
        ------
        SettingError
            If an entry is damaged: what has left is then not known.
        """
        place = self._place(table)
        return [read_knowledge(path) for path in sorted(place.glob("*.json"))] if place.is_dir() else []

    def add(self, release: Release, *, table: str) -> Path:
        """Keep what a release tells, whole or not at all.

        Parameters
        ----------
        release : Release
        table : str
            Fingerprint of the table that it is about.

        Returns
        -------
        Path

        Raises
        ------
        SettingError
            If the release is unprotected or does not pass: then it may not leave.
        """
        if release.unprotected or not release.passed:
            raise SettingError("the ledger keeps what has left, and this release may not leave")
        place = self._place(table)
        Path(self.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        path = _next(place)
        try:
            write_text(plain_disclosed(release.knowledge), path, private=True)
        except BaseException:
            path.unlink()  # its number was taken, and nothing has left under it
            raise
        return path

    def _place(self, table: str) -> Path:
        return Path(self.folder) / hashlib.sha256(table.encode("utf-8")).hexdigest()[:32]


def _next(place: Path) -> Path:
    """Take the next free number for an entry; two that end together get one each."""
    number = len(list(place.glob("*.json")))
    while True:
        number += 1
        path = place / f"{number:06d}.json"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        return path
