"""Make the paper: compute every number, write the results, draw the figures, typeset.

`python paper/make.py` computes everything on two cores, about ten minutes, and ends with `paper/build/hiddenpop.pdf`.
A run that was stopped goes on where it was; a run that ended leaves nothing behind that the next could lean on.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paper.document import BUILD, typeset
from paper.figures import draw_figures
from paper.printed import PrintedError, read_printed
from paper.results import records_of, write_records
from paper.summary import write_summary
from paper.validation import write_validation

import hiddenpop as hp
from hiddenpop.validation.content import content_digest, source_digest
from paper import answers, chance

STORE = BUILD / "store"


def main(arguments: list[str] | None = None) -> int:
    """Run the steps; 1 when a number differs and nobody says why."""
    asked = _parser().parse_args(arguments)
    if not asked.text_only:
        try:
            compute(asked.workers)
        except PrintedError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    write_validation()
    write_summary()
    draw_figures()
    sys.stdout.write(f"{typeset()}\n")
    return 0


def compute(workers: int) -> None:
    """Compute every number that is set beside a printed one."""
    printed = read_printed()
    with hp.parallel(workers=workers, store=STORE / code_digest(), progress=True):
        write_records(printed, records_of(printed))
    shutil.rmtree(STORE)


def code_digest() -> str:
    """Name the code that the numbers depend on: other code, other store."""
    parts = [
        source_digest(),
        *(Path(module.__file__ or "").read_text("utf-8") for module in (answers, chance)),
    ]
    return content_digest(parts)[:16]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes; the results do not depend on them")
    parser.add_argument("--text-only", action="store_true", help="typeset from the results that are there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
