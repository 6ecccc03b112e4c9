"""The public names of the package, room by room: what the pages of the API are made from."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import hiddenpop
from hiddenpop.sensitivity import CHECKS

__all__ = ["ROOMS", "Room", "documented"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A page of the API: its title and module, what it is for, and full names to document."""

    page: str
    title: str
    module: str
    text: str
    names: tuple[str, ...]


def _public(module: str) -> tuple[str, ...]:
    """Give the public names of a module; one that is at the top of the package as well is called by that name."""
    found = import_module(module)
    names = [name for name in found.__all__ if not isinstance(getattr(found, name), ModuleType)]
    top = set(hiddenpop.__all__)
    return tuple(
        f"hiddenpop.{name}"
        if name in top and getattr(hiddenpop, name) is getattr(found, name)
        else f"{module}.{name}"
        for name in names
    )


def _room(module: str, title: str, text: str, *more: str) -> Room:
    return Room(
        page=module.rpartition(".")[2], title=title, module=module, text=text, names=(*_public(module), *more)
    )


def _checks() -> tuple[str, ...]:
    return tuple(path.replace(":", ".") for path in CHECKS.values())


def _bayes() -> Room:
    names = (
        *_public("hiddenpop.bayes.diagnostics"),
        "hiddenpop.bayes.decomposable.sweep_delta",
        "hiddenpop.bayes.averaged.sweep_odds_ratio",
        "hiddenpop.bayes.identifying.sweep_prior_count",
        "hiddenpop.bayes.identifying.sweep_xi",
        "hiddenpop.bayes.loglinear.sweep_priors",
    )
    text = "Chains, predictions and priors of the Bayesian estimators, and their answers under other priors."
    return Room(
        page="bayes",
        title="Bayesian diagnostics",
        module="hiddenpop.bayes.diagnostics",
        text=text,
        names=names,
    )


def _rooms() -> tuple[Room, ...]:
    rooms = [
        _room(
            "hiddenpop",
            "hiddenpop",
            "The names at the top of the package: tables, estimators, estimates, and the verbs.",
        ),
        _room(
            "hiddenpop.datasets", "hiddenpop.datasets", "Published tables with source, version and figures."
        ),
        _room("hiddenpop.description", "hiddenpop.description", "Can this table carry an estimate at all?"),
        _room("hiddenpop.monitor", "hiddenpop.monitor", "Subgroups, rates, years, ranks, the UN indicator."),
        _room(
            "hiddenpop.sensitivity",
            "hiddenpop.sensitivity",
            "What would have to be true for the answer to change: the standard set, and every check.",
            *_checks(),
        ),
        _room(
            "hiddenpop.synthetic",
            "hiddenpop.synthetic",
            "Populations of known size, and tables drawn from them.",
            "hiddenpop.synthetic.local.draw_local",
        ),
        _room(
            "hiddenpop.validation",
            "hiddenpop.validation",
            "Simulation studies and calibration of posteriors.",
        ),
        _bayes(),
        _room(
            "hiddenpop.disclosure",
            "hiddenpop.disclosure",
            "What may leave of a table that is not public: rules, and a release that is judged together.",
        ),
        _room("hiddenpop.plotting", "hiddenpop.plotting", "Figures; the gallery shows each of them."),
        _room("hiddenpop.errors", "hiddenpop.errors", "One tree of exceptions and one of warnings."),
    ]
    late = {
        "hiddenpop.report": "An analysis as HTML, PDF and JSON.",
        "hiddenpop.runs": "From `analysis.toml` to a folder that can be made again.",
    }
    rooms += [_room(name, name, text) for name, text in late.items() if find_spec(name)]
    return tuple(rooms)


ROOMS = _rooms()


def documented() -> tuple[str, ...]:
    """Give the full names that have a page."""
    return tuple(dict.fromkeys(name for room in ROOMS for name in room.names))
