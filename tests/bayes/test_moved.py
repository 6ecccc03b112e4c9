"""The old path of the sweep of priors."""

import pytest

from hiddenpop.bayes import loglinear, loglinear_sweep


def test_the_old_path_of_the_sweep_answers_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="sweep_priors is hiddenpop.bayes.loglinear.sweep_priors now"):
        assert loglinear_sweep.sweep_priors is loglinear.sweep_priors
    with pytest.warns(DeprecationWarning, match="SWEEP_PRIORS now; the old path goes with version 0.2.0"):
        assert loglinear_sweep.STANDARD_PRIORS is loglinear.SWEEP_PRIORS
