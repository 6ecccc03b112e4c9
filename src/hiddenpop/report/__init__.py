"""A report that a reviewer can redo: one HTML file without network or scripts, a PDF, and JSON.

The content is put together once, in the blocks of `hiddenpop.report.document`, from estimates, checks and what a
monitor made of them. Two renderers write it out.
"""

from hiddenpop.report.catalogue import LANGUAGES
from hiddenpop.report.record import Redo, Report

__all__ = ["LANGUAGES", "Redo", "Report"]
