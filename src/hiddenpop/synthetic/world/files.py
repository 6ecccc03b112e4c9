"""The files of a world: written under passing names, and named when all of them are whole."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from hiddenpop._files import passing_name
from hiddenpop.errors import TableError

__all__ = ["WorldFiles", "open_files"]

PLACES = {
    "registrations": "registrations.parquet",
    "measures": "measures.parquet",
    "cases": "cases.parquet",
    "persons": "truth/persons.parquet",
    "victims": "truth/victims.parquet",
    "links": "truth/links.parquet",
    "totals": "truth/totals.csv",
    "coverage": "truth/coverage.csv",
}


@dataclass(frozen=True, slots=True)
class WorldFiles:
    """Files of one world while they are being written."""

    folder: Path
    writers: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def places(folder: Path) -> dict[str, Path]:
        """Say where each table lies in a folder."""
        return {name: folder / place for name, place in PLACES.items()}

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return list(self.places(self.folder).values())

    def add(self, name: str, table: Any) -> None:
        """Add the rows of a block to a file, as a row group of their own."""
        if name not in self.writers:
            draft = passing_name(self.places(self.folder)[name])
            self.writers[name] = pq.ParquetWriter(draft, table.schema, compression="zstd", version="2.6")
        self.writers[name].write_table(table, row_group_size=max(len(table), 1))

    def finish(self, frames: dict[str, pd.DataFrame]) -> None:
        """Write the small tables, close the files and give all of them their names."""
        for name, frame in frames.items():
            frame.to_csv(passing_name(self.places(self.folder)[name]), index=False, lineterminator="\n")
        self.close()
        for path in self.paths:
            passing_name(path).replace(path)

    def close(self) -> None:
        """Close what is open."""
        for writer in self.writers.values():
            writer.close()


@contextmanager
def open_files(folder: Path) -> Iterator[WorldFiles]:
    """Open the files of a world; what has no name at the end is removed."""
    files = WorldFiles(folder)
    try:
        for path in files.paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield files
    except OSError as error:
        raise TableError(
            f"cannot write to {folder}: {error.strerror or error}; choose a folder you can write"
        ) from error
    finally:
        files.close()
        for path in files.paths:
            with suppress(OSError):
                passing_name(path).unlink()
