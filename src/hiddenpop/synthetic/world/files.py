"""The files of a world: written as drafts, and named when all of them are whole."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from hiddenpop._files import csv_text, whole
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
    drafts: Mapping[str, Path]
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
            self.writers[name] = pq.ParquetWriter(
                self.drafts[name], table.schema, compression="zstd", version="2.6"
            )
        self.writers[name].write_table(table, row_group_size=max(len(table), 1))

    def finish(self, frames: dict[str, pd.DataFrame]) -> None:
        """Write the small tables and close the files, which then take their names."""
        for name, frame in frames.items():
            self.drafts[name].write_text(csv_text(frame), encoding="utf-8")
        self.close()

    def close(self) -> None:
        """Close what is open."""
        for writer in self.writers.values():
            writer.close()


@contextmanager
def open_files(folder: Path) -> Iterator[WorldFiles]:
    """Open the files of a world; they take their names when all of them are whole, or are gone."""
    places = WorldFiles.places(folder)
    try:
        for path in places.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            drafts = {name: stack.enter_context(whole(path)) for name, path in places.items()}
            files = WorldFiles(folder, drafts)
            with _closing(files):
                yield files
    except OSError as error:
        raise _cannot_write(folder, error) from error


@contextmanager
def _closing(files: WorldFiles) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # before one of the files takes it for its own
        raise _cannot_write(files.folder, error) from error
    finally:
        files.close()


def _cannot_write(folder: Path, error: OSError) -> TableError:
    return TableError(f"cannot write to {folder}: {error.strerror or error}; choose a folder you can write")
