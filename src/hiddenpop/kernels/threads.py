"""One thread for BLAS, for as long as small matrices are worked on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread"]

_HERE = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread; inside another such block this costs nothing.

    The matrices here are small: threads that wait for each other take longer than the work, on a busy machine ten
    times as long. And sums come out the same to the last bit whatever the number of cores. To enter takes longer than
    to fit such a model, so a loop enters it once, around all of its fits.

    Examples
    --------
    >>> with one_thread(), one_thread():
    ...     pass
    """
    if getattr(_HERE, "inside", False):
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="blas"):
        _HERE.inside = True
        try:
            yield
        finally:
            _HERE.inside = False
