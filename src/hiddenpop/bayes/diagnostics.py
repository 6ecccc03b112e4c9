"""What speaks for and against draws from a posterior: chains, modes, predictions, priors.

The face of what other modules of this room hold, for people who look into an estimate.
"""

from hiddenpop.bayes.convergence import Convergence, convergence, judge, modes
from hiddenpop.bayes.predictive import (
    LeaveOneOut,
    PredictiveCheck,
    leave_one_out,
    posterior_predictive,
    predictive_check,
    prior_predictive,
)
from hiddenpop.bayes.sensitivity import prior_sensitivity, sensitivity_range

__all__ = [
    "Convergence",
    "LeaveOneOut",
    "PredictiveCheck",
    "convergence",
    "judge",
    "leave_one_out",
    "modes",
    "posterior_predictive",
    "predictive_check",
    "prior_predictive",
    "prior_sensitivity",
    "sensitivity_range",
]
