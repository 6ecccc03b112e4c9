"""The API has a page for every public name, and links of docstrings lead to them."""

import importlib

import pytest
from tests.docs.pages import DOCS

import hiddenpop
from hiddenpop.sensitivity import CHECKS

assert DOCS.exists()

from links import linked_references  # noqa: E402
from rooms import ROOMS, documented  # noqa: E402

PUBLIC_ROOMS = [
    "hiddenpop",
    "hiddenpop.datasets",
    "hiddenpop.description",
    "hiddenpop.monitor",
    "hiddenpop.sensitivity",
    "hiddenpop.synthetic",
    "hiddenpop.validation",
    "hiddenpop.bayes.diagnostics",
    "hiddenpop.disclosure",
    "hiddenpop.plotting",
    "hiddenpop.errors",
    "hiddenpop.report",
    "hiddenpop.runs",
]


@pytest.mark.parametrize("module", PUBLIC_ROOMS)
def test_every_public_name_has_a_page(module: str) -> None:
    found = importlib.import_module(module)
    (room,) = [room for room in ROOMS if room.module == module]
    shown = {name.rpartition(".")[2] for name in room.names}
    assert set(found.__all__) - {"datasets", "errors"} <= shown


def test_every_documented_name_is_there_with_a_docstring() -> None:
    for name in documented():
        module, _, attribute = name.rpartition(".")
        thing = getattr(importlib.import_module(module), attribute)
        assert not callable(thing) or thing.__doc__, name


def test_checks_and_rooms_are_complete() -> None:
    assert {path.replace(":", ".") for path in CHECKS.values()} <= set(documented())
    assert {room.module for room in ROOMS} == set(PUBLIC_ROOMS)
    assert set(hiddenpop._ROOMS) <= {room.page for room in ROOMS}
    assert len({room.page for room in ROOMS}) == len(ROOMS)


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("a. doi:10.1214/12-AOAS536", "a. `doi:10.1214/12-AOAS536 <https://doi.org/10.1214/12-AOAS536>`__"),
        ("doi:10.1111/j.1541-0420.2007.00779.x.", "`doi:10.1111/j.1541-0420.2007.00779.x <"),
        ("see arXiv:2101.09304.", "see `arXiv:2101.09304 <https://arxiv.org/abs/2101.09304>`__."),
        ("no link", "no link"),
    ],
)
def test_sources_become_links(text: str, linked: str) -> None:
    assert linked_references(text).startswith(linked)
