"""`hiddenpop warm`: everything compiled beforehand, so that no other command waits for it."""

import time
from typing import Annotated

import typer

from hiddenpop._screen import notes
from hiddenpop.cli.screen import print_text
from hiddenpop.errors import SettingError

__all__ = ["warm"]


def warm(
    *, workers: Annotated[int, typer.Option("--workers", help="Processes, -1 for every core.")] = 1
) -> None:
    """Compile beforehand what estimates need.

    Every estimator is fitted to small tables, and what is compiled for that is kept for later commands. It lies in the
    folder HIDDENPOP_CACHE_DIR, else NUMBA_CACHE_DIR, else the cache folder of the user. Estimators that draw with PyMC
    still compile a part for tables of another shape.
    """
    from hiddenpop.estimators.warm import warm_up
    from hiddenpop.kernels.compiled import cache_folder, is_kept
    from hiddenpop.parallel import parallel

    if not is_kept():
        raise SettingError(
            f"{cache_folder()} cannot be written, so that nothing compiled is kept; name another folder in "
            f"HIDDENPOP_CACHE_DIR"
        )
    started = time.monotonic()
    with parallel(workers=workers, progress=True), notes(shown=False):
        warm_up()
    print_text(f"ready after {time.monotonic() - started:.0f} s; what is compiled lies in {cache_folder()}")
