"""The deep profile has to be known before the first test is read: `pytest tests/fuzz --hypothesis-profile=deep`."""

from hypothesis import settings
from tests.fuzz.limits import DEEP

settings.register_profile(DEEP, deadline=None)
