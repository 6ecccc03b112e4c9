"""Any dataframe (pandas, polars, pyarrow and more) as one of pandas."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hiddenpop.errors import TableError

__all__ = ["is_frame", "plain_frame"]


def plain_frame(frame: Any) -> pd.DataFrame:
    """Turn a dataframe of any library into one of pandas.

    Parameters
    ----------
    frame : DataFrame
        Of pandas, polars, pyarrow, or another library that narwhals knows; lazy ones are collected.

    Returns
    -------
    DataFrame

    Raises
    ------
    TableError
        For anything else.

    Examples
    --------
    >>> import pyarrow
    >>> plain_frame(pyarrow.table({"a": [1, 0]}))["a"].tolist()
    [1, 0]
    """
    if isinstance(frame, pd.DataFrame):
        return frame
    import narwhals as nw

    try:
        native = nw.from_native(frame)
        eager = native.collect() if isinstance(native, nw.LazyFrame) else native
        return eager.to_pandas()
    except (TypeError, AttributeError) as error:
        raise TableError(
            f"a table is read from a dataframe, and this is a {type(frame).__name__}; give one of pandas, polars "
            "or pyarrow"
        ) from error


def is_frame(source: Any) -> bool:
    """Tell whether something is a dataframe or a mapping of counts, and no path."""
    return (
        isinstance(source, pd.DataFrame | Mapping)
        or hasattr(source, "__dataframe__")
        or hasattr(source, "__narwhals_dataframe__")
        or hasattr(source, "__arrow_c_stream__")
        or hasattr(source, "collect_schema")
    )
