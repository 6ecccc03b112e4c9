"""Every check of the standard set by name. A plain dict of ``"module:Class"`` strings, imported at the point of use."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_door
from hiddenpop.estimators.registry import made

__all__ = ["CHECKS", "build_check", "standard_checks"]

CHECKS: dict[str, str] = {
    "dependence_sweep": "hiddenpop.sensitivity.dependence_sweep:DependenceSweep",
    "highest_order": "hiddenpop.sensitivity.highest_order:HighestOrderSweep",
    "partial_identification": "hiddenpop.sensitivity.partial_identification:PartialIdentification",
    "list_influence": "hiddenpop.sensitivity.list_influence:ListInfluence",
    "internal_consistency": "hiddenpop.sensitivity.internal_consistency:InternalConsistency",
    "multiverse": "hiddenpop.sensitivity.multiverse:Multiverse",
    "linkage": "hiddenpop.sensitivity.linkage:LinkageSweep",
    "over_coverage": "hiddenpop.sensitivity.over_coverage:OverCoverageSweep",
    "cell_influence": "hiddenpop.sensitivity.cell_influence:CellInfluence",
    "trajectory": "hiddenpop.sensitivity.trajectory:Trajectory",
    "prior": "hiddenpop.sensitivity.prior:PriorSensitivity",
}

WITHOUT_CLAIM = ("internal_consistency",)
"""Checks that hold the answer to a known truth and not to a claim."""


@front_door
def build_check(name: str, settings: Mapping[str, Any] | None = None, *, trust: bool = False) -> Any:
    """Make a check from its name and plain settings.

    Parameters
    ----------
    name : str
    settings : mapping, optional
    trust : bool
        Whether an estimator of your own in a setting may be imported; see `hiddenpop.estimators.registry.build`.

    Returns
    -------
    Check

    Raises
    ------
    UnknownNameError
        If there is no such check.
    SettingError
        If there is no such setting, or it has a value it cannot have.

    Examples
    --------
    >>> build_check("trajectory", {"claim": "more than 10,000"}).claim
    'more than 10,000'
    """
    if name not in CHECKS:
        raise unknown_name("check", name, CHECKS)
    module, _, kind = CHECKS[name].partition(":")
    return made(getattr(import_module(module), kind), name, settings or {}, trust=trust)


@front_door
def standard_checks(claim: Any = None) -> tuple[Any, ...]:
    """Make the checks of the standard set, each held to the claim.

    Parameters
    ----------
    claim : str or Claim, optional

    Returns
    -------
    tuple of Check

    Examples
    --------
    >>> [check.name for check in standard_checks()][:2]
    ['dependence_sweep', 'highest_order']
    """
    return tuple(build_check(name, {} if name in WITHOUT_CLAIM else {"claim": claim}) for name in CHECKS)
