"""What an estimator would refuse a table for, found without fitting, so that a plan can be refused before it starts."""

import warnings
from typing import Any

from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.base import contract
from hiddenpop.table import CaptureTable

__all__ = ["refusal"]


def refusal(estimator: Any, table: CaptureTable) -> str:
    """Say why an estimator cannot treat a table.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable

    Returns
    -------
    str
        Empty where nothing speaks against it. An estimator of one's own that does not tell is not looked into.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> refusal(hp.Chapman(lists=("EXH", "UN")), hp.datasets.load("kosovo"))
    "lists=('EXH', 'UN'): kosovo has no list 'UN' that caught somebody; it has EXH, ABA, OSCE, HRW"
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit itself will say them
            contract(estimator).prepare(table)
    except HiddenpopError as error:
        return str(error)
    return ""
