"""Set before anything is imported that compiles: caches lie in the clone, also where pytest is started by hand.

The key that tests make is not the user's own either. Which test is the first to compile something is chance, so that
none hears of it but those that ask.
"""

import os

from tools.caches import CACHE, keep_inside

keep_inside()
os.environ.setdefault("XDG_CONFIG_HOME", str(CACHE / "config"))
os.environ.setdefault("HIDDENPOP_COMPILE_NOTE", "off")
