"""The command line: parse, call, print."""

from hiddenpop.cli.entry import main

__all__ = ["main"]
