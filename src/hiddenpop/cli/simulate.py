"""`hiddenpop simulate`: tables and registers whose true size is known."""

from pathlib import Path
from typing import Annotated

import typer

from hiddenpop.cli.screen import print_text
from hiddenpop.errors import SettingError

__all__ = ["simulate"]

WORLD = "world"
SHIPPED = Path("data") / "synthetic"
LARGEST_SEED = 2**32


def simulate(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help='A scenario, or "world"; without it they are listed.'),
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the files; made if need be.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed; without it one is drawn and written down.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="Persons, if not those of the scenario.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The synthetic data that are included, byte for byte.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", help="Processes, -1 for every core.")] = 1,
) -> None:
    """Draw data whose true size is known.

    A scenario gives a capture table (csv), "world" the registers of a synthetic country person by person (parquet).
    A card beside them holds the truth and the seed.
    """
    from hiddenpop.parallel import parallel

    if everything:
        _refuse(name, size)
        with parallel(workers=workers):
            _write_all(SHIPPED if out is None else out, seed)
    elif name is None:
        _refuse_options(out, seed, size)
        _list_scenarios()
    else:
        if out is None:
            raise SettingError(
                "--out is missing; name the folder for the files, for instance --out simulated"
            )
        with parallel(workers=workers, progress=True):
            _write_one(name, out, _drawn_seed() if seed is None else seed, size)


def _refuse(name: str | None, size: int | None) -> None:
    if name is not None or size is not None:
        given = repr(name) if name is not None else f"--size {size}"
        raise SettingError(f"{given} does not go with --all, which writes a fixed set; leave one of them out")


def _refuse_options(out: Path | None, seed: int | None, size: int | None) -> None:
    given = [
        option for option, value in (("--out", out), ("--seed", seed), ("--size", size)) if value is not None
    ]
    if given:
        raise SettingError(
            f"{given[0]} needs a scenario; name one (`hiddenpop simulate` lists them), or give --all"
        )


def _drawn_seed() -> int:
    import numpy as np

    return int(np.random.default_rng().integers(LARGEST_SEED))


def _write_all(out: Path, seed: int | None) -> None:
    from hiddenpop.synthetic.curated import CURATED_SEED, write_curated

    paths = write_curated(out, seed=CURATED_SEED if seed is None else seed)
    total = sum(path.stat().st_size for path in paths)
    print_text(f"{len(paths)} files in {out}, {total / 1e6:.1f} MB")


def _write_one(name: str, out: Path, seed: int, size: int | None) -> None:
    from hiddenpop.synthetic.curated import write_scenario, write_world_set

    if name == WORLD:
        write_world_set(out, seed=seed, size=size)
        print_text(f"world, seed {seed}: registers in {out}, the truth in {out / 'truth'}")
    else:
        table, card = write_scenario(out, name, seed=seed, size=size)
        print_text(f"{name}, seed {seed}: {table}, with the truth in {card}")


def _list_scenarios() -> None:
    from hiddenpop.cli.screen import wrapped
    from hiddenpop.synthetic.library import LIBRARY

    about = {WORLD: "The registers of a synthetic country, person by person."}
    about |= {name: entry.description for name, entry in LIBRARY.items()}
    for name, sentence in about.items():
        print_text(f"{name}\n{wrapped(f'  {sentence}', '  ')}")
