"""Printed and ours side by side, with a verdict on each number."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from paper.answers import Answer
from paper.printed import Printed, PrintedError, Row, decimals, half_unit

AGREES, BY_CHANCE, DIFFERS, NOT_COMPUTED = "agrees", "within Monte Carlo error", "differs", "not computed"

DEVIATIONS = 3.0
"""A number that chance moves may be so many of its standard deviations off."""

SIGNIFICANT = 3
"""Digits kept of what comes from chains: their last bits depend on the processor."""

ROUNDING = 1e-9
"""What two computations of one number may differ by, relatively, at the edge of a rounding."""

Record = dict[str, Any]


def record_of(row: Row, printed: Printed, answer: Answer) -> Record:
    """Write one row of results.

    Parameters
    ----------
    row : Row
    printed : Printed
    answer : mapping
        From `paper.answers.answer`.

    Returns
    -------
    dict
        Plain values.
    """
    quantities = [_quantity(row, name, answer) for name in row.printed] if row.route != "none" else []
    source = printed.sources[row.source]
    return {
        "key": row.key,
        "table": row.table,
        "n": answer.get("n"),
        "words": row.words,
        "source": source.label,
        "source_kind": source.kind,
        "cite": source.cite,
        "where": row.where,
        "interval": row.interval,
        "route": row.route,
        "quantities": quantities,
        "our_status": answer["our_status"],
        "status": _status([quantity["verdict"] for quantity in quantities]),
        "why": row.why,
        "note": row.note,
        **{name: answer[name] for name in ("resamples", "histogram", "n_lists") if name in answer},
    }


def _quantity(row: Row, name: str, answer: Answer) -> Record:
    text, ours = row.printed[name], answer[name]
    off = answer.get("off", {}).get(name)
    if isinstance(ours, str):
        return {"name": name, "printed": text, "ours": ours, "verdict": AGREES if ours == text else DIFFERS}
    digits = decimals(text)
    found = {
        "name": name,
        "printed": float(text) if digits else int(text),
        "digits": digits,
        "ours": _kept(float(ours), digits, row.route),
        "verdict": _verdict(row, text, float(ours), off),
    }
    return (
        found
        | ({"ours_digits": 0} if row.route in ("resampled", "shares", "chains") else {})
        | ({"off": round(off, 1)} if off is not None else {})
    )


def _kept(ours: float, digits: int, route: str) -> float | int | None:
    """Round to the digits that are the same in every run; None where there is no number."""
    if not math.isfinite(ours):
        return None
    if route == "chains":
        return round(ours, SIGNIFICANT - 1 - math.floor(math.log10(abs(ours)))).__trunc__()
    rounded = round(ours, 0 if route in ("resampled", "shares") else digits)
    return int(rounded) if route in ("resampled", "shares") or not digits else rounded


def _verdict(row: Row, text: str, ours: float, off: float | None) -> str:
    slack = half_unit(text, row.options.get("rounded_to", 1.0)) * (1 + ROUNDING) + ROUNDING * abs(float(text))
    if off is None:
        return AGREES if abs(ours - float(text)) <= slack else DIFFERS
    if off == 0.0:
        return AGREES
    return BY_CHANCE if off < DEVIATIONS else DIFFERS


def _status(verdicts: Sequence[str]) -> str:
    if not verdicts:
        return NOT_COMPUTED
    return next((word for word in (DIFFERS, BY_CHANCE) if word in verdicts), AGREES)


def check_reasons(records: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a difference without a reason, and a reason without a difference.

    Raises
    ------
    PrintedError
        With all of them at once.
    """
    faults = [
        f"{record['key']}: differs and gives no reason: {_numbers(record)}"
        for record in records
        if record["status"] == DIFFERS and not record["why"]
    ]
    # Chains on another processor may come out on the other side of a coin toss.
    faults += [
        f"{record['key']}: gives a reason to differ and does not: {_numbers(record)}"
        for record in records
        if record["status"] in (AGREES, BY_CHANCE) and record["why"] and record["route"] != "chains"
    ]
    if faults:
        raise PrintedError("\n".join(faults))


def _numbers(record: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{q['name']} {q['printed']} printed, {q['ours']} ours" + (f" ({q['off']} sd)" if "off" in q else "")
        for q in record["quantities"]
    )
