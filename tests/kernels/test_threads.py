"""BLAS on one thread: entered once around many fits, and left as it was."""

import threadpoolctl

import hiddenpop as hp
from hiddenpop.kernels.poisson.dense import one_thread
from hiddenpop.synthetic import LIBRARY


def threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def test_inside_there_is_one_thread_and_afterwards_as_many_as_before() -> None:
    before = threads()
    with one_thread():
        with one_thread():
            assert set(threads()) == {1}
        assert set(threads()) == {1}
    assert threads() == before


def test_an_error_inside_leaves_it() -> None:
    try:
        with one_thread():
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    entered = []
    with one_thread():
        entered.append(threads())
    assert set(entered[0]) == {1}


def test_a_search_and_a_bootstrap_enter_once_a_block(monkeypatch) -> None:
    entered = []
    limits = threadpoolctl.threadpool_limits

    def counted(*args, **kwargs):
        entered.append(args)
        return limits(*args, **kwargs)

    monkeypatch.setattr(threadpoolctl, "threadpool_limits", counted)
    table = LIBRARY["gap-region-three"].resized(600).draw(rng=1)
    search = hp.SelectedCovariateLogLinear(interval="lognormal")
    path = search.fit(table).details["path"]
    assert len(path) > 1
    assert len(entered) <= 3  # the search, and the fit of what it chose
    entered.clear()
    hp.Bootstrapped(base=hp.CovariateLogLinear(interval="lognormal"), n_boot=200).fit(table, rng=1)
    assert len(entered) <= 4  # a block of 100 resamples each, and the estimate itself
