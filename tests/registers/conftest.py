"""Registers of a small synthetic world, and how well links find its truth."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

pytest.importorskip("duckdb", reason="the extra 'registers' is not installed")
pytest.importorskip("splink", reason="the extra 'registers' is not installed")

from hiddenpop.registers import Registrations, create_key
from hiddenpop.synthetic.world import World, draw_world

LINK = {
    "first_name": "first_name",
    "last_name": "last_name",
    "birth_date": "birth_date",
    "sex": "sex",
    "nationality": "nationality",
    "place": "municipality",
}


@pytest.fixture(scope="session")
def world() -> World:
    return draw_world(size=12_000, rng=20261130)


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_key(tmp_path_factory.mktemp("secret") / "key")


def described(frame: pd.DataFrame, **more: Any) -> dict[str, Any]:
    """Describe registrations of the world as a register."""
    return {
        "data": frame,
        "record": "registration",
        "day": "date",
        "unit": "year",
        "key": ["RINPERSOONS", "RINPERSOON"],
        "link": LINK,
        "strata": ["form", "sex"],
        **more,
    }


def by_agency(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Describe each agency as a register of its own, in the order of their names."""
    return {str(name): described(part) for name, part in frame.groupby("agency")}


@pytest.fixture(scope="session")
def registrations(world: World, key_file: Path) -> Registrations:
    return Registrations.read(by_agency(world.registrations), key_file=key_file)


@pytest.fixture(scope="session")
def truth(world: World) -> Callable[[Registrations], npt.NDArray[np.int64]]:
    """Give a function that names the true person behind every record of registrations."""
    links = world.links[world.links["file"] == "registrations"]
    person = dict(zip(links["record"].astype(str), links["person"], strict=True))

    def of(registrations: Registrations) -> npt.NDArray[np.int64]:
        records = registrations.connection.execute("SELECT record FROM registrations ORDER BY id").fetchall()
        return np.array([person[record] for (record,) in records])

    return of


def pairs_within(*labels: npt.NDArray[Any]) -> int:
    """Count the pairs of records that have all labels in common."""
    _, sizes = np.unique(np.stack(labels), axis=1, return_counts=True)
    return int((sizes * (sizes - 1) // 2).sum())


def precision_recall(found: npt.NDArray[Any], true: npt.NDArray[Any]) -> tuple[float, float]:
    """Give the shares of the pairs linked that are right, and of the right pairs that are linked."""
    both = pairs_within(found, true)
    return both / pairs_within(found), both / pairs_within(true)
