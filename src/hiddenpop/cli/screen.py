"""What the commands print: plain aligned text for 80 columns."""

from hiddenpop._text import columns, wrapped
from hiddenpop.result import Estimate

__all__ = ["columns", "estimate_text", "wrapped"]


def estimate_text(estimate: Estimate) -> str:
    """Write one estimate with everything that has to be said about it."""
    return "\n".join(wrapped(line, "    ") for line in estimate.summary().splitlines())
