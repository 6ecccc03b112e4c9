"""Packages imported where they are used: those of an extra, named when they are not there, and ArviZ, in silence."""

import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

from hiddenpop.errors import MissingExtraError

__all__ = ["EXTRA_OF", "REFACTOR_NOTICE", "load_arviz", "need"]

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


REFACTOR_NOTICE = r"\s*ArviZ is undergoing a major refactor"


def load_arviz() -> Any:
    """Import ArviZ, which is slow to load and announces its next version once a day.

    Returns
    -------
    module

    Examples
    --------
    >>> load_arviz().__name__
    'arviz'
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=REFACTOR_NOTICE, category=FutureWarning)
        import arviz
    return arviz
