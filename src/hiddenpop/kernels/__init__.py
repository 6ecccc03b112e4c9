"""The numbers: pure functions from arrays to frozen records, compiled where a loop needs it."""

import os
from pathlib import Path

if Path(".numba_config.yaml").exists():
    # numba reads this file in whatever folder one works, also in a stranger's. It may say where compiled code lies and
    # which modules look for it, and both are run. What the environment says comes before it.
    for name in ("NUMBA_CACHE_DIR", "NUMBA_CACHE_LOCATOR_CLASSES"):
        os.environ.setdefault(name, "")
