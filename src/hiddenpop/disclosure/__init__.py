"""What may leave of a table that is not public; the key of its fingerprint."""

from hiddenpop.disclosure.linear import Knowledge
from hiddenpop.disclosure.release import Release, read_knowledge, release
from hiddenpop.disclosure.rules import ReleaseRules
from hiddenpop.disclosure.small import (
    KEY_VARIABLE,
    THRESHOLD,
    is_small,
    protect_cells,
    protect_counts,
    protect_text,
    protect_value,
    secret_key,
)
from hiddenpop.disclosure.tables import Base, OutputTable, Releasable

__all__ = [
    "KEY_VARIABLE",
    "THRESHOLD",
    "Base",
    "Knowledge",
    "OutputTable",
    "Releasable",
    "Release",
    "ReleaseRules",
    "is_small",
    "protect_cells",
    "protect_counts",
    "protect_text",
    "protect_value",
    "read_knowledge",
    "release",
    "secret_key",
]
