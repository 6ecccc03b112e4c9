"""What has left: kept inside, read back, and brought onto the cells of a later release."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._files import parse_json
from hiddenpop._typing import Floats
from hiddenpop.disclosure.answers import Printed
from hiddenpop.disclosure.linear import Knowledge, joined
from hiddenpop.disclosure.tables import Base, lifted
from hiddenpop.errors import SettingError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Disclosed", "brought_onto", "plain_disclosed", "read_knowledge", "with_earlier"]

ENDS = ("lower", "upper", "floor", "ceiling")
ENDLESS = {"lower": -np.inf, "upper": np.inf, "floor": -np.inf, "ceiling": np.inf}
FILE = "knowledge.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Disclosed:
    """All that an outsider has of one base: linear facts, and answers as they were printed.

    Attributes
    ----------
    frame : DataFrame
        The cells of the base, without their counts.
    linear : Knowledge
    printed : tuple of Printed
    groups : ndarray of bool, shape (g, b)
        The groups of persons that outputs were about: the difference of two of them is a group as well.
    counts : ndarray or None
        The base counts, so that a later release of a coarser table can be audited. They stay inside.
    """

    frame: pd.DataFrame
    linear: Knowledge
    printed: tuple[Printed, ...]
    groups: npt.NDArray[np.bool_]
    counts: Floats | None = None


def brought_onto(told: Disclosed, base: Base) -> Disclosed:
    """Say the same of the cells of a base that is as fine or finer.

    Raises
    ------
    SettingError
        If it is about cells that the base does not have.
    """
    matrix = lifted(told.frame, base.frame)
    if matrix is None or (np.diff(matrix.tocsr().indptr) == 0).any():
        raise SettingError(
            f"an earlier release is about base cells of {base.name!r} that this one does not have; give both the "
            f"finest base that they share"
        )
    known = told.linear
    rows = matrix.tocsr()
    single = np.diff(rows.indptr) == 1
    floor, ceiling = np.full(base.counts.size, -np.inf), np.full(base.counts.size, np.inf)
    at = rows.indices[rows.indptr[:-1][single]]
    floor[at], ceiling[at] = known.floor[single], known.ceiling[single]
    informs = ~single & ((known.floor > 0) | np.isfinite(known.ceiling))
    linear = Knowledge(
        cells=base.cells,
        matrix=_stacked((known.matrix @ rows).tocsr(), rows[np.flatnonzero(informs)]),
        lower=np.concatenate([known.lower, known.floor[informs]]),
        upper=np.concatenate([known.upper, known.ceiling[informs]]),
        floor=floor,
        ceiling=ceiling,
        whole=known.whole,
    )
    same = matrix.shape[0] == matrix.shape[1]
    printed = (
        told.printed if same and _is_identity(rows) else tuple(_lifted(one, rows) for one in told.printed)
    )
    groups = np.asarray(told.groups.astype(np.float64) @ rows > 0).reshape(len(told.groups), base.counts.size)
    return Disclosed(frame=base.frame, linear=linear, printed=printed, groups=groups, counts=base.counts)


def _is_identity(matrix: "csr_array[Any]") -> bool:
    size = matrix.shape[0]
    return matrix.nnz == size and bool((matrix.indices == np.arange(size)).all())


def _lifted(one: Printed, matrix: "csr_array[Any]") -> Printed:
    return replace(one, lift=matrix if one.lift is None else (one.lift @ matrix).tocsr())


def _stacked(first: "csr_array[Any]", second: "csr_array[Any]") -> "csr_array[Any]":
    from scipy.sparse import vstack

    found: csr_array[Any] = vstack([first, second], format="csr")
    return found


def with_earlier(told: Disclosed, base: Base, *earlier: Mapping[str, Disclosed]) -> Disclosed:
    """Add what earlier releases say of a base to what one says."""
    linear, printed, groups = told.linear, told.printed, told.groups
    for one in earlier:
        if base.name in one:
            more = brought_onto(one[base.name], base)
            linear, printed = joined(linear, more.linear), (*printed, *more.printed)
            groups = np.concatenate([groups, more.groups])
    return replace(told, linear=linear, printed=printed, groups=groups)


def plain_disclosed(told: Mapping[str, Disclosed]) -> str:
    """Write what has left as JSON."""
    return json.dumps({name: _plain(one) for name, one in told.items()}) + "\n"


def _plain(told: Disclosed) -> dict[str, Any]:
    known = told.linear
    return {
        "columns": [str(name) for name in told.frame.columns],
        "cells": [[_json(value) for value in row] for row in told.frame.itertuples(index=False, name=None)],
        "counts": None if told.counts is None else told.counts.tolist(),
        "matrix": _plain_matrix(known.matrix),
        "whole": known.whole,
        **{key: _endless(getattr(known, key)) for key in ENDS},
        "printed": [_plain_printed(one) for one in told.printed],
        "groups": [np.flatnonzero(group).tolist() for group in told.groups],
    }


def _plain_printed(one: Printed) -> dict[str, Any]:
    return {
        "name": one.name,
        "recompute": dict(one.recompute),
        "level": one.level,
        "finest": one.finest,
        "digits": one.digits,
        "shown": [_json(value) for value in one.shown],
        "low": _endless(one.low),
        "high": _endless(one.high),
        "lift": None if one.lift is None else _plain_matrix(one.lift),
    }


def _json(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _endless(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _plain_matrix(matrix: "csr_array[Any]") -> dict[str, Any]:
    entries = matrix.tocoo()
    return {
        "shape": list(matrix.shape),
        "entries": [entries.row.tolist(), entries.col.tolist(), entries.data.tolist()],
    }


def read_knowledge(folder: str | Path) -> dict[str, Disclosed]:
    """Read what `Release.write_inside` kept, for the audit of a later release.

    Parameters
    ----------
    folder : str or Path
        The folder that stayed inside, or the file in it.

    Returns
    -------
    dict of str to Disclosed

    Raises
    ------
    SettingError
        If it is not there or damaged.
    """
    path = Path(folder)
    path = path / FILE if path.is_dir() or path.suffix != ".json" else path
    try:
        return {str(name): _read(plain) for name, plain in parse_json(path.read_text("utf-8")).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise SettingError(
            f"what an earlier release has told cannot be read from {path.name}; give the folder that stayed inside"
        ) from error


def _read(plain: Mapping[str, Any]) -> Disclosed:
    frame = pd.DataFrame(plain["cells"], columns=plain["columns"], dtype=object)
    ends = {
        key: np.array([ENDLESS[key] if one is None else one for one in plain[key]], dtype=np.float64)
        for key in ENDS
    }
    columns = [str(name) for name in frame.columns]
    known = Knowledge(
        cells=tuple(
            ", ".join(f"{name}={value}" for name, value in zip(columns, row, strict=True))
            for row in plain["cells"]
        ),
        matrix=_matrix(plain["matrix"]),
        whole=bool(plain["whole"]),
        **ends,
    )
    sizes = known.matrix.shape
    if (
        sizes != (known.lower.size, len(frame))
        or known.upper.size != sizes[0]
        or known.floor.size != sizes[1]
    ):
        raise ValueError("sizes differ")
    counts = plain["counts"]
    groups = np.zeros((len(plain["groups"]), len(frame)), dtype=bool)
    for k, members in enumerate(plain["groups"]):
        groups[k, members] = True
    return Disclosed(
        frame=frame,
        linear=known,
        printed=tuple(_read_printed(one) for one in plain["printed"]),
        groups=groups,
        counts=None if counts is None else np.array(counts, dtype=np.float64),
    )


def _read_printed(plain: Mapping[str, Any]) -> Printed:
    return Printed(
        name=str(plain["name"]),
        recompute=dict(plain["recompute"]),
        level=str(plain["level"]),
        finest=float(plain["finest"]),
        digits=int(plain["digits"]),
        shown=tuple(plain["shown"]),
        low=np.array([-np.inf if one is None else one for one in plain["low"]], dtype=np.float64),
        high=np.array([np.inf if one is None else one for one in plain["high"]], dtype=np.float64),
        lift=None if plain["lift"] is None else _matrix(plain["lift"]),
    )


def _matrix(plain: Mapping[str, Any]) -> "csr_array[Any]":
    from scipy.sparse import csr_array

    row, column, data = plain["entries"]
    return csr_array((np.array(data, dtype=np.float64), (row, column)), shape=tuple(plain["shape"]))
