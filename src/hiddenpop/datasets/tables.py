"""Reading the shipped tables."""

from importlib.resources import files
from typing import TYPE_CHECKING

from hiddenpop._front_door import front_door
from hiddenpop.datasets.records import DataSet, info
from hiddenpop.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

    from hiddenpop.table import CaptureTable

__all__ = ["load", "load_counts"]


@front_door
def load(name: str) -> "CaptureTable":
    """Load a published capture table.

    Parameters
    ----------
    name : str
        Key of a data set of kind "captures"; `catalogue` lists them.

    Returns
    -------
    CaptureTable
        Marked public, with its name and population; with strata and censored cells where the source has them.

    Raises
    ------
    UnknownNameError
        If no table has this name, or if it stands for more than one version of a table.
    TableError
        If the data set holds repeat counts of a single register.

    Examples
    --------
    >>> table = load("kosovo")
    >>> table.lists, table.n_observed
    (('EXH', 'ABA', 'OSCE', 'HRW'), 4400)
    """
    from hiddenpop.table import CaptureTable

    data = info(name)
    if data.kind != "captures":
        raise TableError(
            f"data set {name!r} holds repeat counts of a single register, not a capture table; "
            f"read it with load_counts({name!r})."
        )
    return CaptureTable.from_counts(
        _read(data),
        lists=data.list_names,
        strata=data.strata_names,
        censored=data.censored or None,
        name=data.key,
        population=data.population,
        public=True,
    )


@front_door
def load_counts(name: str) -> "pd.DataFrame":
    """Load published repeat counts: how often each unit was seen in a single register.

    Parameters
    ----------
    name : str
        Key of a data set of kind "repeat counts"; `catalogue` lists them.

    Returns
    -------
    pandas.DataFrame
        One row a unit with its covariates, or one row a number of captures with its frequency; `info` gives
        the meaning of the columns.

    Raises
    ------
    UnknownNameError
        If no table has this name.
    TableError
        If the data set is a capture table.

    Examples
    --------
    >>> load_counts("irregular_migrants_counts").head(2)
       nbcap  count
    0      1   1645
    1      2    183
    """
    data = info(name)
    if data.kind != "repeat counts":
        raise TableError(f"data set {name!r} is a capture table; read it with load({name!r}).")
    return _read(data)


def _read(data: DataSet) -> "pd.DataFrame":
    """Read the csv of a data set; levels of a covariate stay text, also where they look like numbers."""
    import pandas as pd

    with (files("hiddenpop.datasets") / f"{data.key}.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=dict.fromkeys(data.strata_names, "str"))
