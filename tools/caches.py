"""Where tests, documentation and notebooks keep what they compile: in the clone, so that a fresh one is a cold machine.

Old compiled code in a home folder hides what fails where nothing has ever been compiled. The Makefile sets the same
variables; `keep_inside` is for what is started by hand.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

__all__ = ["CACHE", "keep_inside", "places"]

CACHE = Path(__file__).parents[1] / ".venv" / "cache"
PYTENSOR = "PYTENSOR_FLAGS"


def places(cache: Path = CACHE) -> dict[str, str]:
    """Name the folder of every program that keeps something between two runs, by its variable.

    ``XDG_CACHE_HOME`` is for fontconfig, ArviZ, typst and Chromium.
    """
    return {
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        PYTENSOR: f"base_compiledir={cache / 'pytensor'}",
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "XDG_CACHE_HOME": str(cache / "xdg"),
        "IPYTHONDIR": str(cache / "ipython"),
        "JUPYTER_CONFIG_DIR": str(cache / "jupyter" / "config"),
        "JUPYTER_DATA_DIR": str(cache / "jupyter" / "data"),
        "JUPYTER_RUNTIME_DIR": str(cache / "jupyter" / "runtime"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
        "DASK_CONFIG": str(cache / "dask"),
    }


def keep_inside(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set every variable that is not set; to be called before numba, PyTensor or Matplotlib is imported."""
    for name, place in places().items():
        given = environment.get(name, "")
        if name == PYTENSOR and "compiledir=" not in given:
            environment[name] = f"{given},{place}".strip(",")
        elif not given:
            environment[name] = place
