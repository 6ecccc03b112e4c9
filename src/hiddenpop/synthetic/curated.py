"""The synthetic data that are included: tables of scenarios and a small world, each with a card and checksums."""

import math
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from hiddenpop._files import write_text
from hiddenpop.errors import TableError
from hiddenpop.estimators.protocol import check_whole
from hiddenpop.synthetic.cards import read_sums, sha256, toml_text, write_sums
from hiddenpop.synthetic.library import scenario
from hiddenpop.synthetic.scenario import Scenario
from hiddenpop.synthetic.world import WorldSettings, read_settings, write_world
from hiddenpop.synthetic.world.plan import make_plan
from hiddenpop.table import CaptureTable

__all__ = ["CURATED", "CURATED_SEED", "faulty_files", "write_curated", "write_scenario", "write_world_set"]

CURATED = (
    "independent-three",
    "one-pair-three",
    "like-uk",
    "like-kosovo",
    "sparse-eight",
    "latent-classes-four",
    "highest-order-three",
    "years-four",
    "gap-region-three",
    "missed-links-three",
)
"""Scenarios of the library whose tables are included."""

CURATED_SEED = 20191231
WORLD_SHARE = 10
"""The world that is included has one person for ten of the country."""

GENERATOR_VERSION = 1
"""Raise it when the same seed no longer gives the same table."""

LICENCE = "CC0-1.0"

README = """\
# Synthetic data

Made by `hiddenpop simulate --all` (`make data`); nothing here describes a real person. Each table `NAME.csv` has a
card `NAME.toml` with what it is, the true size of the population, the seed and the meaning of each column. `world/` is
a small world of registers, person by person, with its truth in `world/truth/` and its card in `world/world.toml`.

`SHA256SUMS` holds the checksum of every file: `sha256sum --check SHA256SUMS`. The same command gives the same bytes
with the versions of numpy, pandas and pyarrow that stand in `world/world.toml`.

To the extent possible under law, all rights are waived: CC0 1.0.
"""


def write_scenario(
    folder: str | Path, chosen: str | Scenario, *, seed: int, size: int | None = None
) -> list[Path]:
    """Draw the table of a scenario into a csv file, with its card beside it.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    chosen : str or Scenario
        The name of a scenario of the library, or one of your own.
    seed : int
    size : int, optional
        Persons of the population, if not those of the scenario.

    Returns
    -------
    list of Path
        The table and the card.

    Raises
    ------
    UnknownNameError
        If the library has no such scenario.
    SettingError
        If seed or size is none.
    TableError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_scenario(folder, "like-kosovo", seed=1)]
    ['like-kosovo.csv', 'like-kosovo.toml']
    """
    check_whole("seed", seed, least=0, most=math.inf)
    world = scenario(chosen) if isinstance(chosen, str) else chosen
    origin = (
        f'hiddenpop.synthetic.scenario("{chosen}")' if isinstance(chosen, str) else "a scenario of its own"
    )
    if size is not None:
        world, origin = world.resized(size), f"{origin}.resized({size})"
    table = world.draw(rng=seed)
    place = _folder(folder)
    paths = [place / f"{world.name}.csv", place / f"{world.name}.toml"]
    table.write(paths[0])
    write_text(toml_text(_table_card(world, table, seed, f"{origin}.draw(rng={seed})")), paths[1])
    return paths


def write_world_set(
    folder: str | Path, *, seed: int, size: int | None = None, settings: WorldSettings | None = None
) -> list[Path]:
    """Draw a world of registers into a folder, with its card beside it.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    seed : int
    size : int, optional
        Victims, added up over the years; by default those of the whole country.
    settings : WorldSettings, optional
        By default those of ``settings.toml``.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    SettingError
        If seed or size is none.
    TableError
        If the folder cannot be written to.
    """
    check_whole("seed", seed, least=0, most=math.inf)
    rules = read_settings() if settings is None else settings
    place = _folder(folder)
    paths = write_world(place, rules, size=size, rng=seed)
    card = place / "world.toml"
    write_text(toml_text(_world_card(rules, size, seed)), card)
    return [*paths, card]


def write_curated(folder: str | Path, *, seed: int = CURATED_SEED) -> list[Path]:
    """Write the synthetic data that are included: tables, a small world, cards and checksums.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    seed : int
        The seed of every table and of the world; that of the shipped files by default.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    SettingError
        If the seed is none.
    TableError
        If the folder cannot be written to.

    Notes
    -----
    The same bytes each time, for the versions that stand in the card of the world.
    """
    place = _folder(folder)
    paths = [path for name in CURATED for path in write_scenario(place, name, seed=seed)]
    rules = read_settings()
    paths += write_world_set(place / "world", seed=seed, size=rules.size // WORLD_SHARE, settings=rules)
    write_text(README, place / "README.md")
    paths.append(place / "README.md")
    return [*paths, write_sums(place, paths)]


def faulty_files(folder: str | Path) -> list[str]:
    """Compare the files of a folder with its checksums.

    Parameters
    ----------
    folder : str or Path
        Written by `write_curated`.

    Returns
    -------
    list of str
        Names of files that are missing or changed.

    Raises
    ------
    TableError
        If there is no file of checksums.
    """
    place = Path(folder)
    sums = read_sums(place)
    return [name for name, digest in sums.items() if not _is_whole(place / name, digest)]


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _folder(folder: str | Path) -> Path:
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TableError(
            f"cannot use the folder {place}: {error.strerror or error}; choose another"
        ) from error
    return place


def _table_card(world: Scenario, table: CaptureTable, seed: int, generator: str) -> dict[str, Any]:
    strata = world.truth_by_stratum()
    columns = dict.fromkeys(world.lists, "1: on this list")
    columns |= dict.fromkeys(table.strata.columns, "level of a covariate")
    card: dict[str, Any] = {
        "title": world.description,
        "file": f"{world.name}.csv",
        "row": "a capture history, in a stratum; those of nobody are left out",
        "synthetic": True,
        "licence": LICENCE,
        "truth": world.truth,
        "observed": table.n_observed,
        "seed": seed,
        "generator": generator,
        "generator_version": GENERATOR_VERSION,
        "assumptions": sorted(world.assumptions),
        "model": world.model or "",
        "distortions": [repr(step) for step in world.distortions],
        "lists": list(world.lists),
        "strata": list(table.strata.columns),
        "columns": columns | {"count": "persons"},
    }
    if table.coverage:
        card["coverage"] = [
            {"list": entry.list, "covariate": entry.covariate, "levels": list(entry.levels)}
            for entry in table.coverage
        ]
    if len(strata.columns) > 1:
        card["truth_by_stratum"] = strata.to_dict(orient="records")
    return card


def _world_card(rules: WorldSettings, size: int | None, seed: int) -> dict[str, Any]:
    text = files("hiddenpop.synthetic.world").joinpath("card.toml").read_text("utf-8")
    plan = make_plan(rules, size)
    about = tomllib.loads(text)
    head = {
        "title": about["title"],
        "synthetic": True,
        "licence": LICENCE,
        "size": plan.size,
        "victims": dict(zip(map(str, rules.years), plan.totals.sum(axis=1).tolist(), strict=True)),
        "seed": seed,
        "generator": f"hiddenpop.synthetic.world.write_world(folder, size={plan.size}, rng={seed})",
        "generator_version": GENERATOR_VERSION,
        "settings_version": rules.version,
        "made_with": {name: version(name) for name in ("numpy", "pandas", "pyarrow")},
    }
    return head | about
