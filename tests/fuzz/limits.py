"""What fuzzed code may do: answer, or refuse by an error of the package, soon and in little memory."""

import contextlib
import resource
import signal
import warnings
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from hiddenpop.errors import HiddenpopError, HiddenpopWarning

DEEP = "deep"
DEEPER = 40
"""How many times more examples `pytest tests/fuzz --hypothesis-profile=deep` tries, each time other ones."""

SECONDS = 15
BYTES = 2_000_000_000
REFUSED = object()


def fuzz(examples: int) -> settings:
    """Settings of a fuzz test: the same examples each time, unless the deep profile is asked for."""
    deep = settings.get_current_profile_name() == DEEP
    return settings(
        max_examples=examples * (DEEPER if deep else 1),
        derandomize=not deep,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def answered(function: Any, *given: Any, **named: Any) -> Any:
    """Call a function with whatever; give its answer, or REFUSED where it raises an error of the package."""
    with bounded(), warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        try:
            return function(*given, **named)
        except HiddenpopError as error:
            told = str(error)
    assert told.strip()
    return REFUSED


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """End what takes too long or asks for too much memory, with an error that no test expects."""

    def late(*_: object) -> None:
        raise AssertionError(f"still at work after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + BYTES, limits[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _address_space() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read thousands of times
        return int(file.read().split()[0]) * resource.getpagesize()


# --- what people and enemies write ---

NASTY = (
    "", " ", "0", "1", "2", "-1", "1.0", "1.5", "1e400", "-0", "NaN", "inf", "None", "null", "True", "false", "<10",
    "9" * 25, "1_000", "1,000", "=1+1", "'", '"', "`", "\\", "\0", "\n", "\r", "\t", ";", "\ufeff", "\u202e", "é",
    "名",
    "\x1b[2J", "\ud800", "\x7f", "a" * 300, "%s", "{0}", "../x", "__class__",
    "police", "shelter", "count", "censored", "region",
)  # fmt: skip

nasty = st.sampled_from(NASTY) | st.text(max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | nasty
    | st.sampled_from([10**30, -(10**30), float("inf"), float("nan"), 1e308])
)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(nasty, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: Any, whole: bytes) -> bytes:
    """Bytes cut short, flipped, repeated or put in between."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(["cut", "flip", "zero", "insert", "double"]))
        if how == "cut":
            del data[place:]
        elif how == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "zero":
            data[place : place + 8] = bytes(8)
        elif how == "insert":
            data[place:place] = draw(st.binary(max_size=12))
        else:
            data[place:place] = data[place : place + 40]
    return bytes(data)
