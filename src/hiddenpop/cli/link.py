"""`hiddenpop link`: the registers of a plan linked, and what the links are worth."""

import tomllib
from pathlib import Path
from typing import Annotated

import typer

from hiddenpop.cli.screen import print_text

__all__ = ["link"]


def link(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan with [registers] and [link].")],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the page as HTML too, such as links.html."),
    ] = None,
) -> None:
    """Link the registers of a plan and say how good the links are.

    Shows sizes, overlaps, what is missing, how far records of a person agree, and an audit of the links by the key,
    each with the assumption of an estimate that it touches. Nothing is estimated.
    """
    from hiddenpop._files import parse_toml, write_text
    from hiddenpop.cli.inputs import check_place
    from hiddenpop.errors import SettingError
    from hiddenpop.registers.page import quality_page
    from hiddenpop.registers.plan import read_link_plan

    check_place("--out", out, (".html",))
    try:
        sections = parse_toml(plan.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingError(f"cannot read the plan {plan}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{plan} is not TOML: {error}; mind quotes and brackets") from error
    told = read_link_plan(sections.get("registers"), sections.get("link"), plan.parent)
    links = told.link()
    analysis = sections.get("analysis", {})
    title = str(analysis.get("title", plan.stem)) if isinstance(analysis, dict) else plan.stem
    unit = str(told.counting.get("unit", "person"))
    page = quality_page(links, told.table(links), title=f"Registers and links: {title}", unit=unit)
    print_text(page.to_text())
    if out is not None:
        write_text(page.to_html(), out)
