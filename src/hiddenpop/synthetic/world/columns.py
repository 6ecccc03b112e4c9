"""From arrays to columns: days as YYYYMMDD, keys as nine digits, codes as their names, a gap where nothing is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hiddenpop._typing import Bools, Ints
from hiddenpop.synthetic.world.aftermath import NEVER

__all__ = [
    "DateParts",
    "chosen",
    "date_parts",
    "dates",
    "key_digits",
    "packed",
    "text",
    "unpacked",
    "written",
]

DateParts = tuple[Ints, Ints, Ints]


def text(values: npt.NDArray[np.bytes_], missing: Bools | None = None) -> Any:
    """Make a column of text."""
    return pa.array(values, mask=missing).cast(pa.string())


def chosen(codes: Ints, names: Sequence[str]) -> Any:
    """Make a column of names from their positions; a negative position is a gap."""
    positions = pa.array(np.maximum(codes, 0).astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(positions, pa.array(list(names), pa.string())).cast(pa.string())


def date_parts(day: Ints) -> DateParts:
    """Split days since 1970 into year, month and day."""
    days = day.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    number = months.astype(np.int64)
    return 1970 + number // 12, number % 12 + 1, (days - months).astype(np.int64) + 1


def written(parts: DateParts, missing: Bools | None = None) -> Any:
    """Make a column of dates, YYYYMMDD."""
    year, month, day = parts
    return pa.array(year * 10_000 + month * 100 + day, mask=missing).cast(pa.string())


def dates(day: Ints) -> Any:
    """Make a column of dates from days since 1970; a day that never comes is a gap."""
    missing = day == NEVER
    return written(date_parts(np.where(missing, 0, day)), missing)


def key_digits(numbers: Ints) -> Any:
    """Make a column of keys with nine digits and leading zeros."""
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 9, "0")


def packed(table: Any) -> npt.NDArray[np.uint8]:
    """Turn a table into bytes that travel between processes and fit into a store of blocks."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return np.frombuffer(sink.getvalue(), dtype=np.uint8)


def unpacked(content: npt.NDArray[np.uint8]) -> Any:
    """Turn the bytes of `packed` into the table again."""
    with pa.ipc.open_stream(pa.py_buffer(content)) as stream:
        return stream.read_all()
