"""What the commands print: plain aligned text for 80 columns, and JSON. Nothing else writes on the screen."""

import json
from typing import TYPE_CHECKING, Any

import typer

from hiddenpop._text import columns, screen_json, screen_text, wrapped

if TYPE_CHECKING:
    from hiddenpop.result import Estimate

__all__ = ["columns", "estimate_text", "print_json", "print_note", "print_text", "wrapped"]


def print_text(text: str) -> None:
    """Print an answer; what is in it steers no terminal."""
    typer.echo(screen_text(text))


def print_json(content: Any) -> None:
    """Print an answer as JSON; what is in it steers no terminal."""
    typer.echo(screen_json(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)))


def print_note(text: str) -> None:
    """Print a remark beside the answer."""
    typer.echo(screen_text(f"hiddenpop: note: {text}"), err=True)


def estimate_text(estimate: "Estimate") -> str:
    """Write one estimate with everything that has to be said about it."""
    return "\n".join(wrapped(line, "    ") for line in estimate.summary().splitlines())
