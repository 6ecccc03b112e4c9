"""Packages that come with an extra: imported where they are used, and named when they are not there."""

from importlib import import_module
from types import ModuleType

from hiddenpop.errors import MissingExtraError

__all__ = ["EXTRA_OF", "need"]

EXTRA_OF = {
    "jinja2": "report",
    "typst": "report",
    "dask": "cluster",
    "distributed": "cluster",
    "openpyxl": "files",
    "pyreadstat": "files",
    "duckdb": "registers",
    "splink": "registers",
}
"""The extra of pyproject.toml that installs a package."""


def need(package: str, purpose: str) -> ModuleType:
    """Import a package of an extra.

    Parameters
    ----------
    package : str
        One of `EXTRA_OF`.
    purpose : str
        What it is for, the subject of the error: ``"a report in PDF"``.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        If it is not installed; the error names the extra and the command.

    Examples
    --------
    >>> need("jinja2", "a report").__name__
    'jinja2'
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        extra = EXTRA_OF[package]
        raise MissingExtraError(
            f"{purpose} needs {package}, which is not installed; run: pip install 'hiddenpop[{extra}]'"
        ) from error
