"""Lists that do not operate everywhere: which models can take that into account, and what to say of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hiddenpop._cells import operating
from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.prepare import refuse_censored
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = ["gap_remarks", "refuse_coverage"]


def refuse_coverage(table: CaptureTable, covariates: Sequence[str], estimator: str) -> None:
    """Refuse gaps that a model with these covariates cannot see, and counts that are only upper bounds."""
    for rule in table.coverage:
        if rule.covariate not in covariates:
            raise CapabilityError(
                f"{rule.list} did not operate in every stratum of {table.name}, and {estimator} would add up its "
                f"strata: the model leaves {rule.covariate} out, and what is structurally missing would be read as "
                f"zero; add + {rule.covariate} to the model, or drop the list"
            )
    refuse_censored(table, estimator)


def gap_remarks(table: CaptureTable, strata: pd.DataFrame) -> list[Diagnostic]:
    """Say of each list in how many strata it did not operate."""
    found = []
    masks = operating(table.lists, strata, table.coverage)
    for name in dict.fromkeys(rule.list for rule in table.coverage):
        absent = int(np.sum(masks >> table.lists.index(name) & 1 == 0))
        if absent:
            message = f"{name} did not operate in {absent} of {len(strata)} strata; what it would have caught is hidden"
            found.append(Diagnostic("gap", "info", message, absent))
    return found
