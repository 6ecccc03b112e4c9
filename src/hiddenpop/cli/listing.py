"""What there is to choose from: published tables, told without loading what an estimate needs, and estimators."""

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from hiddenpop._text import columns, wrapped
from hiddenpop.cli.screen import print_json, print_text
from hiddenpop.datasets.records import catalogue_rows

__all__ = ["list_datasets", "list_estimators"]

TITLE_WIDTH = 38


def list_datasets(*, as_json: bool) -> None:
    """Print the published tables."""
    found = catalogue_rows()
    if as_json:
        from hiddenpop.result import SCHEMA_VERSION

        content = {"schema_version": SCHEMA_VERSION, "datasets": found}
        print_json(content)
        return
    rows = [row for entry in found for row in _catalogue_rows(entry)]
    print_text(columns([["name", "n", "lists", "title"], *rows], right=[1, 2]))


def _catalogue_rows(entry: Mapping[str, Any]) -> Iterator[list[str]]:
    """Write a data set in as many rows as its title needs; one without lists holds repeat counts of one register."""
    first, *rest = wrap(entry["title"], TITLE_WIDTH)
    yield [entry["key"], f"{entry['n']:,}", str(entry["lists"] or "-"), first]
    yield from (["", "", "", line] for line in rest)


def list_estimators() -> None:
    """Print the registered estimators, each with what it is and its settings."""
    from hiddenpop.estimators.registry import ESTIMATORS, default_settings, estimator_class

    for name in ESTIMATORS:
        kind = estimator_class(name)
        about = (kind.__doc__ or "").strip().splitlines()[0]
        settings = ", ".join(f"{key}={_default(value)}" for key, value in default_settings(name).items())
        print_text(f"{name}\n{wrapped(f'  {about}', '  ')}\n{wrapped(f'  {settings}', '    ')}")


def _default(value: Any) -> str:
    from hiddenpop.estimators.protocol import Estimator, spec_of

    return spec_of(value).label if isinstance(value, Estimator) else repr(value)
