"""What may leave of a table that is not public; the key of its fingerprint."""

from hiddenpop.disclosure.answers import print_answers
from hiddenpop.disclosure.earlier import Disclosed, read_knowledge
from hiddenpop.disclosure.ledger import Ledger
from hiddenpop.disclosure.linear import Knowledge
from hiddenpop.disclosure.marks import plot_data, read_marks
from hiddenpop.disclosure.records import Answers, EstimateRecord, FrameRecord, Message, Persons, Shares
from hiddenpop.disclosure.release import Release, audit_frames, prices, release
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
    "Answers",
    "Base",
    "Disclosed",
    "EstimateRecord",
    "FrameRecord",
    "Knowledge",
    "Ledger",
    "Message",
    "OutputTable",
    "Persons",
    "Releasable",
    "Release",
    "ReleaseRules",
    "Shares",
    "audit_frames",
    "is_small",
    "plot_data",
    "prices",
    "print_answers",
    "protect_cells",
    "protect_counts",
    "protect_text",
    "protect_value",
    "read_knowledge",
    "read_marks",
    "release",
    "secret_key",
]
