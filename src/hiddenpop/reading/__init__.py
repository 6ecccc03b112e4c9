"""From a file or a frame as its owner has it to the cells of a capture table, and what was understood of it."""

from hiddenpop.reading.files import SUFFIXES
from hiddenpop.reading.frames import is_frame, plain_frame
from hiddenpop.reading.read import read_table
from hiddenpop.reading.record import CONFLICTS, Options, Reading

__all__ = ["CONFLICTS", "SUFFIXES", "Options", "Reading", "is_frame", "plain_frame", "read_table"]
