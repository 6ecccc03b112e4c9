"""Populations of known size, and the capture tables drawn from them."""

from typing import TYPE_CHECKING, Any

from hiddenpop.synthetic.dependence import BehaviouralResponse, Referral, ReferralLaw
from hiddenpop.synthetic.distortions import ListGap, MissingLevels, OverCoverage
from hiddenpop.synthetic.drawn import Distortion, Drawn
from hiddenpop.synthetic.heterogeneity import BetaPropensity, LatentClasses, RaschNormal
from hiddenpop.synthetic.implied import as_implied, implied_assumptions, implied_model
from hiddenpop.synthetic.laws import CellLaw, IndependentLists, Law
from hiddenpop.synthetic.library import LIBRARY, scenario
from hiddenpop.synthetic.linkage import FalseLinks, MissedLinks
from hiddenpop.synthetic.loglinear import LogLinearLaw
from hiddenpop.synthetic.open_population import OpenPopulation
from hiddenpop.synthetic.scenario import ASSUMPTIONS, Group, Scenario
from hiddenpop.synthetic.trends import yearly_groups

if TYPE_CHECKING:
    from hiddenpop.synthetic.fitted import fitted_scenario

__all__ = [
    "ASSUMPTIONS",
    "LIBRARY",
    "BehaviouralResponse",
    "BetaPropensity",
    "CellLaw",
    "Distortion",
    "Drawn",
    "FalseLinks",
    "Group",
    "IndependentLists",
    "LatentClasses",
    "Law",
    "ListGap",
    "LogLinearLaw",
    "MissedLinks",
    "MissingLevels",
    "OpenPopulation",
    "OverCoverage",
    "RaschNormal",
    "Referral",
    "ReferralLaw",
    "Scenario",
    "as_implied",
    "fitted_scenario",
    "implied_assumptions",
    "implied_model",
    "scenario",
    "yearly_groups",
]


def __getattr__(name: str) -> Any:
    # Fits bring compiled kernels, which drawing from a standard scenario does not need.
    if name == "fitted_scenario":
        from hiddenpop.synthetic.fitted import fitted_scenario

        return fitted_scenario
    raise AttributeError(f"module 'hiddenpop.synthetic' has no attribute {name!r}")
