"""Simulation studies: how estimators do where the size of the population is known."""

from hiddenpop.validation.calibration import Calibration, calibrate
from hiddenpop.validation.measures import MEASURES
from hiddenpop.validation.record import Study, join_studies
from hiddenpop.validation.studies import read_study, rerun_block, study

__all__ = [
    "MEASURES",
    "Calibration",
    "Study",
    "calibrate",
    "join_studies",
    "read_study",
    "rerun_block",
    "study",
]
