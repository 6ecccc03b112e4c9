"""Drawing a whole world: in memory, or into files block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from hiddenpop.errors import TableError
from hiddenpop.parallel import run_blocks
from hiddenpop.synthetic.world.blocks import TABLES, BlockTask, draw_block
from hiddenpop.synthetic.world.columns import unpacked
from hiddenpop.synthetic.world.files import WorldFiles, open_files
from hiddenpop.synthetic.world.keys import draw_salt
from hiddenpop.synthetic.world.plan import Plan, make_plan
from hiddenpop.synthetic.world.reading import read_settings
from hiddenpop.synthetic.world.settings import WorldSettings
from hiddenpop.table import RNGLike

__all__ = ["World", "draw_world", "read_world", "write_world"]

BATCH = 40
"""Blocks in memory at a time: two million victims."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Registers of a synthetic country, and the truth behind them.

    Attributes
    ----------
    registrations : DataFrame
        One row a registration of a victim by an agency, with names, dates and keys as typed.
    measures : DataFrame
        One row a protection measure for a registered minor, and when help began.
    cases : DataFrame
        One row a suspect: the dates and outcomes of the chain.
    persons, victims, links : DataFrame
        The truth: everybody; one row a victim and year, hidden ones included; which person is behind which record.
    totals : DataFrame
        Victims by year and form.
    coverage : DataFrame
        One row an agency and form that it can come across.
    """

    registrations: pd.DataFrame
    measures: pd.DataFrame
    cases: pd.DataFrame
    persons: pd.DataFrame
    victims: pd.DataFrame
    links: pd.DataFrame
    totals: pd.DataFrame
    coverage: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"World: {len(self.victims):,} victims in {self.victims['year'].nunique()} years, "
            f"{len(self.registrations):,} registrations, {len(self.cases):,} suspects"
        )


def draw_world(
    settings: WorldSettings | None = None, *, size: int | None = None, rng: RNGLike = None
) -> World:
    """Draw a world into memory.

    Parameters
    ----------
    settings : WorldSettings, optional
        By default those of ``settings.toml``.
    size : int, optional
        Victims, added up over the years; by default those of the whole country. Suspects come in proportion.
    rng : int, Generator or None

    Returns
    -------
    World

    Raises
    ------
    SettingError
        If the size is not a whole number from 1 to 10,000,000.

    Notes
    -----
    Numbers of victims by year and form are fixed by the settings; all else is drawn. The world is calibrated to figures
    that the National Rapporteur and Statistics Netherlands published; ``settings.toml`` says which, and which values
    nobody has checked. No row describes a real person.

    Examples
    --------
    >>> world = draw_world(size=1000, rng=1)
    >>> len(world.victims), world.totals["victims"].sum().item()
    (1000, 1000)
    """
    rules = read_settings() if settings is None else settings
    plan = make_plan(rules, size)
    parts = list(_blocks(rules, plan, rng))
    frames = {name: pa.concat_tables([part[name] for part in parts]).to_pandas() for name in TABLES}
    return World(**frames, totals=_totals(rules, plan), coverage=_coverage(rules))


def write_world(
    folder: str | Path, settings: WorldSettings | None = None, *, size: int | None = None, rng: RNGLike = None
) -> list[Path]:
    """Draw a world into parquet files, block by block.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there. The truth goes into its folder ``truth``.
    settings : WorldSettings, optional
        By default those of ``settings.toml``.
    size : int, optional
        Victims, added up over the years; by default those of the whole country.
    rng : int, Generator or None

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    SettingError
        If the size is not a whole number from 1 to 10,000,000.
    TableError
        If the folder cannot be written to.

    Notes
    -----
    Same settings, size and rng, same bytes, on any number of workers (`hiddenpop.parallel`), for one version of numpy
    and pyarrow. The files get their names when all of them are whole.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = write_world(folder, size=100, rng=1)
    ...     len(paths), len(read_world(folder).victims)
    (8, 100)
    """
    rules = read_settings() if settings is None else settings
    plan = make_plan(rules, size)
    with open_files(Path(folder)) as files:
        for tables in _blocks(rules, plan, rng):
            for name, table in tables.items():
                files.add(name, table)
        files.finish({"totals": _totals(rules, plan), "coverage": _coverage(rules)})
    return files.paths


def read_world(folder: str | Path) -> World:
    """Read a world that `write_world` has written.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    World

    Raises
    ------
    TableError
        If a file is not there.
    """
    places = WorldFiles.places(Path(folder))
    missing = [path for path in places.values() if not path.is_file()]
    if missing:
        raise TableError(f"there is no file {missing[0]}; name the folder that a world was written to")
    frames = {
        name: pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        for name, path in places.items()
    }
    return World(**frames)


def _blocks(rules: WorldSettings, plan: Plan, rng: RNGLike) -> Iterator[dict[str, Any]]:
    """Draw the blocks and give their tables, in order."""
    first, *seeds = np.random.default_rng(rng).spawn(plan.n_blocks + 1)
    salt = draw_salt(first)
    tasks = [
        BlockTask(
            settings=rules,
            number=number,
            victims=plan.victims[number],
            suspects=plan.suspects[number],
            salt=salt,
            rng=seed,
        )
        for number, seed in enumerate(seeds)
    ]
    for start in range(0, len(tasks), BATCH):
        for block in run_blocks(draw_block, tasks[start : start + BATCH], label="world"):
            yield {name: unpacked(content) for name, content in block.items()}


def _totals(rules: WorldSettings, plan: Plan) -> pd.DataFrame:
    """Give the true numbers: one row a year and form."""
    numbers: npt.NDArray[np.int64] = plan.totals
    return pd.DataFrame(
        {
            "year": np.repeat(rules.years, len(rules.forms)),
            "form": list(rules.forms) * len(rules.years),
            "victims": numbers.ravel(),
        }
    )


def _coverage(rules: WorldSettings) -> pd.DataFrame:
    """Say which agency can come across victims of which form, by itself or by referral."""
    sees: dict[str, set[str]] = {}
    for name in rules.lists:
        agency = rules.agency[name]
        able = any(agency.found) and (agency.minors or agency.adults)
        sees[name] = {form for form in rules.forms if able and agency.forms[form] > 0}
        for referral in rules.referral:
            if referral.target == name and referral.share > 0:
                sees[name] |= sees[referral.source]
    pairs = [(name, form) for name in rules.lists for form in rules.forms if form in sees[name]]
    return pd.DataFrame(pairs, columns=["agency", "form"])
