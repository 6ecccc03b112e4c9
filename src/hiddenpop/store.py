"""Finished work kept and taken up again: arrays and JSON in one file, whole or not there, nothing that could run."""

import hashlib
import hmac
import importlib
import io
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hiddenpop._files import whole
from hiddenpop.errors import SettingError
from hiddenpop.extras import load_arviz

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CannotBeKeptError", "read_finished", "write_finished"]

DIGEST_SIZE = hashlib.sha256().digest_size
PACKAGE = "hiddenpop"

_PLAIN = (type(None), bool, int, float, str)


class CannotBeKeptError(SettingError):
    """A result has no plain form."""


def write_finished(path: Path, result: Any, key: bytes = b"", *, private: bool = True) -> None:
    """Write a result whole or not at all.

    Parameters
    ----------
    path : Path
        Its name is part of what the digest is made of: a file under another name is not read.
    result : object
        Made of arrays, numbers, text, tuples, lists, sets, dicts, frames, draws as ArviZ holds them, named tuples and
        dataclasses.
    key : bytes
        Of whose work it is. Without one the digest tells damage alone.
    private : bool
        Whether the file is readable by its owner alone.

    Raises
    ------
    CannotBeKeptError
        If there is anything else in it.
    SettingError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = Path(folder) / "a.block"
    ...     write_finished(place, {"n": (1, 2.5)}, key=b"mine")
    ...     list(read_finished(place, key=b"mine")), list(read_finished(place, key=b"another"))
    ([{'n': (1, 2.5)}], [])
    """
    import numpy as np

    arrays: list[np.ndarray[Any, Any]] = []
    tree = json.dumps(_pack(result, arrays)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(tree, dtype=np.uint8), *arrays)
    payload = buffer.getvalue()
    with whole(path, private=private, error=SettingError) as draft:
        draft.write_bytes(_digest(path, payload, key) + payload)


def read_finished(path: Path, key: bytes = b"", *, own_classes: bool = False) -> Iterator[Any]:
    """Yield a kept result; nothing where the file is absent, cut short, damaged, of another key or of another make.

    Parameters
    ----------
    path : Path
    key : bytes
        That it was written with.
    own_classes : bool
        Whether records of this package may be looked up in modules of it that are not loaded yet. Only for a file that
        is known to be one's own by a key. Of other packages a module is never imported.

    Yields
    ------
    object
    """
    import numpy as np

    try:
        content = path.read_bytes()
        digest, payload = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
        if not hmac.compare_digest(digest, _digest(path, payload, key)):
            return
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            result = _Reader(arrays, own_classes).unpack(json.loads(arrays["arr_0"].tobytes()))
    except (OSError, LookupError, RecursionError, TypeError, ValueError, ImportError):
        return
    yield result


def _digest(path: Path, payload: bytes, key: bytes) -> bytes:
    content = path.name.encode() + payload
    return hmac.digest(key, content, "sha256") if key else hashlib.sha256(content).digest()


# --- into JSON, arrays set aside ---


def _pack(value: Any, arrays: "list[np.ndarray[Any, Any]]") -> Any:
    """Turn a result into JSON, its arrays set aside and numbered from 1."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    packer = _PACKERS.get((kind.__module__.partition(".")[0], kind.__name__))
    if packer is not None:
        return packer(value, arrays)
    if names := _field_names(kind):
        content = {name: _pack(getattr(value, name), arrays) for name in names}
        return {"record": content, "class": [kind.__module__, kind.__qualname__]}
    return _pack_scalar(value, arrays)


def _pack_scalar(value: Any, arrays: Any) -> Any:
    import numpy as np

    kind = type(value)
    if isinstance(value, np.generic) and not value.dtype.hasobject:
        arrays.append(np.asarray(value))
        return {"scalar": len(arrays)}
    raise CannotBeKeptError(
        f"the result of a block holds {kind.__module__}.{kind.__qualname__}, which cannot be stored; return "
        "arrays, numbers, text, and tuples, lists, dicts, frames or dataclasses of them"
    )


def _pack_array(value: Any, arrays: Any) -> Any:
    if value.dtype.hasobject:
        return {
            "objects": [_pack(item, arrays) for item in value.ravel().tolist()],
            "shape": list(value.shape),
        }
    arrays.append(value)
    return {"array": len(arrays)}


def _pack_items(value: Any, arrays: Any) -> Any:
    return {type(value).__name__: [_pack(item, arrays) for item in value]}


def _pack_set(value: Any, arrays: Any) -> Any:
    return {type(value).__name__: [_pack(item, arrays) for item in sorted(value, key=repr)]}


def _pack_mapping(value: Mapping[Any, Any], arrays: Any) -> Any:
    if all(type(key) is str for key in value):
        return {"dict": {key: _pack(item, arrays) for key, item in value.items()}}
    return {"map": [[_pack(key, arrays), _pack(item, arrays)] for key, item in value.items()]}


def _pack_frame(frame: Any, arrays: Any) -> Any:
    columns = [_pack_column(frame.iloc[:, place], arrays) for place in range(frame.shape[1])]
    return {
        "frame": columns,
        "names": _pack(frame.columns, arrays),
        "index": _pack(frame.index, arrays),
    }


def _pack_series(series: Any, arrays: Any) -> Any:
    return {
        "series": _pack_column(series, arrays),
        "name": _pack(series.name, arrays),
        "index": _pack(series.index, arrays),
    }


def _pack_column(column: Any, arrays: Any) -> Any:
    """Pack the values of a column or an index: by its numpy type, as categories, or as text and numbers one by one."""
    import numpy as np
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, np.dtype) and not kind.hasobject:
        return {"values": _pack(column.to_numpy(), arrays)}
    if isinstance(kind, pd.CategoricalDtype):
        codes = column.codes if isinstance(column, pd.CategoricalIndex) else column.cat.codes
        return {
            "codes": _pack(np.asarray(codes), arrays),
            "categories": _pack(kind.categories, arrays),
            "ordered": kind.ordered,
        }
    items = [_pack(None if item is pd.NA else item, arrays) for item in column.tolist()]
    return {"items": items, "type": "object" if isinstance(kind, np.dtype) else _written(kind)}


_EXTENSIONS = {
    "boolean",
    "Float32",
    "Float64",
    *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
}
"""Columns of pandas that hold missing values beside whole numbers or truths."""


def _written(kind: Any) -> Any:
    """Write the type of a column that pandas has and numpy has not."""
    import pandas as pd

    if isinstance(kind, pd.StringDtype):
        return ["string", kind.storage, "NA" if kind.na_value is pd.NA else "nan"]
    if str(kind) in _EXTENSIONS:
        return str(kind)
    raise CannotBeKeptError(f"the result of a block holds a column of type {kind}, which cannot be stored")


def _pack_index(index: Any, arrays: Any) -> Any:
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": _pack(index.name, arrays)}
    if isinstance(index, pd.MultiIndex):
        levels = [_pack(index.get_level_values(i), arrays) for i in range(index.nlevels)]
        return {"levels": levels, "names": _pack(list(index.names), arrays)}
    return {"index": _pack_column(index, arrays), "name": _pack(index.name, arrays)}


def _pack_timestamp(value: Any, arrays: Any) -> Any:
    return {"day": value.isoformat(), "kind": type(value).__name__}


def _pack_draws(value: Any, arrays: Any) -> Any:
    """Pack an ArviZ InferenceData: groups of named arrays with their dimensions and coordinates."""
    groups = {name: _pack(value[name], arrays) for name in value.groups()}
    return {"draws": groups, "attrs": _pack(dict(value.attrs), arrays)}


def _pack_dataset(value: Any, arrays: Any) -> Any:
    def packed(named: Any) -> Any:
        return [
            [
                _pack(name, arrays),
                list(array.dims),
                _pack(array.to_numpy(), arrays),
                _pack(dict(array.attrs), arrays),
            ]
            for name, array in named.items()
        ]

    return {
        "dataset": packed(value.data_vars),
        "coords": packed(value.coords),
        "attrs": _pack(dict(value.attrs), arrays),
    }


_PACKERS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _pack_array,
    ("builtins", "list"): _pack_items,
    ("builtins", "tuple"): _pack_items,
    ("builtins", "set"): _pack_set,
    ("builtins", "frozenset"): _pack_set,
    ("builtins", "dict"): _pack_mapping,
    ("builtins", "mappingproxy"): _pack_mapping,
    ("pandas", "DataFrame"): _pack_frame,
    ("pandas", "Series"): _pack_series,
    **{
        ("pandas", name): _pack_index
        for name in (
            "Index",
            "RangeIndex",
            "MultiIndex",
            "CategoricalIndex",
            "DatetimeIndex",
            "IntervalIndex",
        )
    },
    ("datetime", "date"): _pack_timestamp,
    ("datetime", "datetime"): _pack_timestamp,
    ("arviz", "InferenceData"): _pack_draws,
    ("xarray", "Dataset"): _pack_dataset,
}


def _field_names(kind: type) -> tuple[str, ...]:
    """Name what the constructor of a dataclass or a named tuple takes; nothing for any other class."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind) if field.init)
    return tuple(getattr(kind, "_fields", ())) if issubclass(kind, tuple) else ()


# --- and back ---


class _Reader:
    """Makes values of JSON and arrays."""

    __slots__ = ("arrays", "own_classes")

    def __init__(self, arrays: Any, own_classes: bool = False) -> None:
        self.arrays = arrays
        self.own_classes = own_classes

    def unpack(self, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        kind, content = next(iter(tree.items()))
        if kind in ("array", "scalar"):
            array = self.arrays[f"arr_{content}"]
            return array if kind == "array" else array[()]
        if kind in ("list", "tuple", "set", "frozenset"):
            items = [self.unpack(item) for item in content]
            return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)
        if kind == "dict":
            return {key: self.unpack(item) for key, item in content.items()}
        if kind == "record":
            named = {key: self.unpack(item) for key, item in content.items()}
            return _record_class(*tree["class"], own=self.own_classes)(**named)
        if kind not in _READERS:
            raise LookupError(kind)
        return getattr(self, f"_{kind}")(tree)

    def _map(self, tree: Any) -> Any:
        return {self.unpack(key): self.unpack(item) for key, item in tree["map"]}

    def _objects(self, tree: Any) -> Any:
        import numpy as np

        made = np.empty(len(tree["objects"]), dtype=object)
        for place, item in enumerate(tree["objects"]):
            made[place] = self.unpack(item)
        return made.reshape(tree["shape"])

    def _frame(self, tree: Any) -> Any:
        import pandas as pd

        index = self.unpack(tree["index"])
        columns = {place: self._values(column) for place, column in enumerate(tree["frame"])}
        return pd.DataFrame(columns, index=index).set_axis(self.unpack(tree["names"]), axis=1)

    def _series(self, tree: Any) -> Any:
        import pandas as pd

        return pd.Series(
            self._values(tree["series"]), index=self.unpack(tree["index"]), name=self.unpack(tree["name"])
        )

    def _values(self, tree: Any) -> Any:
        import numpy as np
        import pandas as pd

        if "values" in tree:
            return self.unpack(tree["values"])
        if "codes" in tree:
            return pd.Categorical.from_codes(
                self.unpack(tree["codes"]),
                categories=self.unpack(tree["categories"]),
                ordered=tree["ordered"],
            )
        items = [self.unpack(item) for item in tree["items"]]
        if tree["type"] == "object":
            made = np.empty(len(items), dtype=object)
            for place, item in enumerate(items):
                made[place] = item
            return pd.Series(made, dtype=object).array
        if isinstance(tree["type"], list):
            _, storage, missing = tree["type"]
            kind: Any = pd.StringDtype(storage, na_value=np.nan if missing == "nan" else pd.NA)
        else:
            kind = _EXTENSIONS & {tree["type"]} and tree["type"]
        return pd.array([pd.NA if item is None else item for item in items], dtype=kind)

    def _index(self, tree: Any) -> Any:
        import pandas as pd

        values = self._values(tree["index"])
        return pd.Index(values, name=self.unpack(tree["name"]), dtype=values.dtype)

    def _range(self, tree: Any) -> Any:
        import pandas as pd

        start, stop, step = tree["range"]
        return pd.RangeIndex(start, stop, step, name=self.unpack(tree["name"]))

    def _levels(self, tree: Any) -> Any:
        import pandas as pd

        levels = [self.unpack(level) for level in tree["levels"]]
        return pd.MultiIndex.from_arrays(levels, names=self.unpack(tree["names"]))

    def _day(self, tree: Any) -> Any:
        import datetime

        kinds: dict[str, Any] = {"date": datetime.date, "datetime": datetime.datetime}
        return kinds[tree["kind"]].fromisoformat(tree["day"])

    def _draws(self, tree: Any) -> Any:
        arviz = load_arviz()
        groups = {name: self.unpack(dataset) for name, dataset in tree["draws"].items()}
        return arviz.InferenceData(attrs=self.unpack(tree["attrs"]), **groups)

    def _dataset(self, tree: Any) -> Any:
        import xarray

        def named(entries: Any) -> Any:
            return {
                self.unpack(name): (dims, self.unpack(values), self.unpack(attrs))
                for name, dims, values, attrs in entries
            }

        return xarray.Dataset(
            named(tree["dataset"]), coords=named(tree["coords"]), attrs=self.unpack(tree["attrs"])
        )


_READERS = frozenset(
    {"map", "objects", "frame", "series", "index", "range", "levels", "day", "draws", "dataset"}
)
"""Methods that read what has its own form."""


def _record_class(module: str, name: str, *, own: bool = False) -> type:
    """Find a class among the modules that are loaded already: reading a file imports and runs nothing."""
    if (
        own
        and module.startswith(f"{PACKAGE}.")
        and module not in sys.modules
        and not module.endswith("__main__")
    ):
        importlib.import_module(module)
    found: Any = sys.modules.get(module)
    for part in str(name).split("."):
        found = vars(found).get(part) if isinstance(found, ModuleType | type) else None  # getattr may import
    if not (isinstance(found, type) and _field_names(found)):
        raise LookupError(f"{module}.{name} is not a loaded dataclass or named tuple")
    return found
