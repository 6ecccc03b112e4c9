"""A description as plain text for a screen of 80 columns."""

import math
from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from hiddenpop.description.record import TableDescription
    from hiddenpop.description.tally import Spread

__all__ = ["text_of"]

WIDTH = 80
NAME_WIDTH = 30
CRITERIA = {"bic": "BIC", "aic": "AIC"}
STATUS_WORDS = {
    "ok": "finite",
    "unbounded": "unbounded",
    "boundary": "boundary",
    "not_identified": "not identified",
    "not_converged": "not converged",
}


def text_of(description: "TableDescription") -> str:
    """Write everything, the verdict last, because that is what stays on the screen."""
    parts = [
        _heading(description),
        *_lists(description),
        _people(description),
        _models(description),
        _spreads(description),
        fill(description.sentence, WIDTH),
    ]
    return "\n\n".join(part for part in parts if part)


def _heading(d: "TableDescription") -> str:
    persons, lists = _counted(d.n_observed, "person"), _counted(len(d.lists), "list")
    lines = [fill(f"{d.table.name}: {persons} observed on {lists}", WIDTH)]
    if d.population:
        lines.append(fill(d.population, WIDTH))
    lines += [fill(f"Note: {note.message}", WIDTH) for note in d.notes]
    return "\n".join(lines)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _lists(d: "TableDescription") -> list[str]:
    """List sizes with the overlaps beside them, or below them when there is no room."""
    names = [f"{i} {_short(name)}" for i, name in enumerate(d.lists["list"], start=1)]
    sizes = pd.DataFrame({"": names, "persons": d.lists["persons"], "only here": d.lists["only"]})
    overlaps = d.overlaps.set_axis([f"& {i}" for i in range(1, len(names) + 1)], axis=1).reset_index(
        drop=True
    )
    whole = _table(pd.concat([sizes, overlaps], axis=1), own=len(sizes.columns))
    if len(whole.splitlines()[0]) <= WIDTH:
        return [whole]
    matrix = overlaps.assign(**{"": [str(i) for i in range(1, len(names) + 1)]})
    return [_table(sizes), *_in_pieces(matrix[["", *overlaps.columns]])]


def _short(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"


def _in_pieces(matrix: pd.DataFrame) -> list[str]:
    """Cut a wide matrix of overlaps into as few tables as fit the screen."""
    cell = max(len(f"{value:,}") for value in matrix.iloc[:, 1:].to_numpy().ravel().tolist())
    columns = max(1, (WIDTH - 4) // (max(cell, 4) + 2))
    starts = range(1, matrix.shape[1], columns)
    pieces = [matrix.iloc[:, [0, *range(start, min(start + columns, matrix.shape[1]))]] for start in starts]
    return [_table(piece) for piece in pieces]


def _table(frame: pd.DataFrame, own: int | None = None) -> str:
    """Align a frame whose first column is text; of the columns from `own` on, the diagonal is left out."""
    rows = [[str(column) for column in frame.columns]]
    for i, values in enumerate(frame.itertuples(index=False)):
        cells = [value if isinstance(value, str) else f"{value:,}" for value in values]
        if own is not None:
            cells[own + i] = "."
        rows.append(cells)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: list[str], widths: list[int]) -> str:
    first = row[0].ljust(widths[0])
    rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([first, *rest]).rstrip()


def _people(d: "TableDescription") -> str:
    frequencies = ", ".join(f"{n:,} on {k}" for k, n in enumerate(d.capture_frequencies, start=1) if n)
    lines = [
        f"Persons by number of lists: {frequencies}",
        f"Seen once: {d.share_seen_once:.1%}; on two or more lists: {_counted(d.n_twice, 'person')}",
        f"Sample coverage: {d.sample_coverage:.2f}",
    ]
    if d.n_overlaps:
        pairs = "; ".join(f"{a} & {b}" for a, b in d.empty_overlaps)
        named = f" ({pairs})" if pairs else ""
        lines.append(f"Empty overlaps: {len(d.empty_overlaps)} of {d.n_overlaps}{named}")
    return "\n".join(fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def _models(d: "TableDescription") -> str:
    looked_at, space = d.figures.n_looked_at, d.figures.n_space
    proven = f"; {looked_at:,} of {space:,} fitted, the others proven worse" if looked_at < space else ""
    head = fill(f"Models tried: {d.model_space}{proven if d.figures.judged else ''}", WIDTH)
    if d.models.empty:
        return head
    shown = {
        status: words
        for status, words in STATUS_WORDS.items()
        if status != "not_converged" or d.models[status].any()
    }
    frame = d.models.assign(order=[_order(order) for order in d.models["order"]])
    frame = frame[["order", "n_models", *shown]].rename(columns={"order": "", "n_models": "models", **shown})
    return f"{head}\n{_table(frame)}"


def _order(order: int) -> str:
    return "order 1 (independence)" if order == 1 else f"order {order}"


def _spreads(d: "TableDescription") -> str:
    lines = [line for spread in d.spreads for line in _spread(spread)]
    return "\n".join(["Models within 2 units of the best with a finite answer", *lines]) if lines else ""


def _spread(spread: "Spread") -> list[str]:
    name = CRITERIA[spread.criterion]
    reach = f"N from {spread.low:,.0f} to {spread.high:,.0f}, dark figures {_factor(spread.ratio)}"
    lines = [
        f"  {name}: {spread.n_models} models, {reach}"
        if spread.n_models > 1
        else f"  {name}: the best stands alone",
        f"       best {spread.best_model}: N = {spread.best:,.0f}",
    ]
    if spread.n_better_without_answer:
        lines.append(f"       better, but without a finite answer: {spread.n_better_without_answer:,}")
    return [fill(line, WIDTH, subsequent_indent=" " * 7) for line in lines]


def _factor(ratio: float) -> str:
    return f"differ by a factor {ratio:.1f}" if math.isfinite(ratio) else "differ without limit"
