"""One verb for newcomers, and estimators side by side."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any, overload

import numpy as np

from hiddenpop._front_door import front_door
from hiddenpop.errors import CapabilityError, HiddenpopError, SettingError, TableSizeError
from hiddenpop.estimators.comparison import Comparison
from hiddenpop.estimators.protocol import Estimator, check_level, spec_of
from hiddenpop.estimators.registry import STANDARD_PANEL, build, refuse_seed
from hiddenpop.kernels.bootstrap_limits import fewest_resamples
from hiddenpop.result import Estimate
from hiddenpop.sources import TableLike, as_table, check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["Comparison", "compare", "estimate", "fit_panel", "standard_panel"]

REFUSALS = (CapabilityError, TableSizeError)
LARGEST_SEED = 1_000_000
MOST_LISTS_WHOLE = 5
"""Six lists have 7.8 million models: an average takes those of two-list terms."""

MOST_LISTS_PROVEN = 6
"""From seven lists on the best of all models cannot be proven in seconds; the best of those of two-list terms can."""

FITS, FITS_OF_MANY_LISTS = 3_000, 1_000
"""What the search of one resample may take for six lists, and for seven and more: a few seconds for 200 resamples."""

SPARSE, FITS_WHERE_SPARSE = 10, 500
"""With fewer persons than ten a cell a fit takes five times as long, and bounds are so loose that no search closes."""

PANEL_FITS = 20_000
"""What the search on the table itself may take: a few seconds."""


@overload
def estimate(
    table: TableLike, estimator: None = None, *, rng: RNGLike = None, level: float = 0.95
) -> Comparison: ...


@overload
def estimate(
    table: TableLike, estimator: str | Estimator, *, rng: RNGLike = None, **settings: Any
) -> Estimate: ...


@front_door
def estimate(
    table: TableLike, estimator: str | Estimator | None = None, *, rng: RNGLike = None, **settings: Any
) -> Estimate | Comparison:
    """Estimate the size of the population behind a table.

    Parameters
    ----------
    table : CaptureTable, str, path, DataFrame or mapping
        A table, or what can be made one: the name of a data set, a file, a dataframe, counts by capture history.
    estimator : str or Estimator, optional
        A registered name such as ``"loglinear"``, or an estimator. Without it the standard panel: the usual methods
        side by side, the one whose interval repeats the choice of model first.
    rng : int, Generator or None
        Seed or generator for estimators that draw random numbers. The panel draws a seed where none is given, and says
        which.
    **settings
        Settings of the named estimator; for the panel ``level`` alone.

    Returns
    -------
    Estimate, or Comparison for the panel

    Raises
    ------
    UnknownNameError
        If there is no estimator of that name.
    SettingError
        If it has no such setting, or settings are given beside an estimator.
    CapabilityError
        If no method of the panel can treat the table.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> kosovo = hp.datasets.load("kosovo")
    >>> round(hp.estimate(kosovo, "loglinear", model="[123,14,34]").n_hat, 2)
    10356.52
    >>> hp.estimate(kosovo, rng=1).labels[:3]
    ('best BIC, bootstrapped', 'independence', 'best BIC model')
    """
    if estimator is not None:
        return _resolve(estimator, settings).fit(as_table(table), rng=rng)
    refuse_seed("estimate", settings)
    unknown = [name for name in settings if name != "level"]
    if unknown:
        raise SettingError(
            f"settings ({', '.join(unknown)}) go with an estimator's name; without one there is a panel, for which "
            f"level alone can be set"
        )
    known = as_table(table)
    return fit_panel(known, standard_panel(known, **settings), rng=rng)


def fit_panel(table: CaptureTable, methods: Mapping[str, Estimator], *, rng: RNGLike) -> Comparison:
    """Fit every method that can treat the table, and keep the reasons of the others.

    Parameters
    ----------
    table : CaptureTable
    methods : mapping of str to Estimator
    rng : int, Generator or None
        Every estimator gets the same; without one a seed is drawn.

    Returns
    -------
    Comparison

    Raises
    ------
    CapabilityError, TableSizeError
        If none can treat the table.
    """
    drawn = rng is None
    seed: RNGLike = int(np.random.default_rng().integers(LARGEST_SEED)) if drawn else rng
    fitted: dict[str, Estimate] = {}
    refused: dict[str, HiddenpopError] = {}
    for label, method in methods.items():
        try:
            fitted[label] = method.fit(table, rng=_same(seed))
        except REFUSALS as error:
            refused[label] = error
    if not fitted:
        raise next(iter(refused.values()))
    return Comparison(
        tuple(fitted),
        tuple(fitted.values()),
        {label: str(error) for label, error in refused.items()},
        seed if isinstance(seed, int) else None,
        drawn,
    )


def _resolve(estimator: Any, settings: Mapping[str, Any]) -> Estimator:
    refuse_seed("estimate", settings)
    if isinstance(estimator, type):
        raise SettingError(f"{estimator.__name__} is a class; give an estimator, {estimator.__name__}(...)")
    if isinstance(estimator, str):
        built: Estimator = build(estimator, settings)
        return built
    if not hasattr(estimator, "fit"):
        raise SettingError(
            f'{estimator!r:.60} is no estimator; give a registered name such as "loglinear" or an estimator such as '
            f"LogLinear(), and several of them to compare"
        )
    if settings:
        given = ", ".join(settings)
        raise SettingError(
            f"settings ({given}) go with an estimator's name; make a variant with dataclasses.replace"
        )
    fitted: Estimator = estimator
    return fitted


@front_door
def compare(
    table: TableLike,
    estimators: Sequence[str | Estimator] | Mapping[str, str | Estimator],
    *,
    rng: RNGLike = None,
) -> Comparison:
    """Fit several estimators to one table.

    Parameters
    ----------
    table : CaptureTable, str, path, DataFrame or mapping
        As for `estimate`.
    estimators : sequence or mapping
        Registered names or estimators; the keys of a mapping are the labels.
    rng : int, Generator or None
        Every estimator gets the same, so that its answer does not depend on the company it keeps.

    Returns
    -------
    Comparison

    Raises
    ------
    SettingError
        If there is nothing to compare.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> comparison = hp.compare(hp.datasets.load("kosovo"), ["loglinear", "chao"])
    >>> comparison.to_frame()["status"].tolist()
    ['ok', 'ok']
    """
    given: Any = estimators
    if isinstance(given, str) or not isinstance(given, Collection) or len(given) == 0:
        raise SettingError(
            f'there is nothing to compare in {estimators!r:.60}; give a list such as ["loglinear", "chao"]'
        )
    if isinstance(estimators, Mapping):
        labelled = {label: _resolve(item, {}) for label, item in estimators.items()}
        labels, resolved = tuple(labelled), tuple(labelled.values())
    else:
        resolved = tuple(_resolve(item, {}) for item in estimators)
        labels = tuple(item if isinstance(item, str) else _label(item) for item in estimators)
    known = as_table(table)
    return Comparison(labels, tuple(item.fit(known, rng=_same(rng)) for item in resolved))


def _same(rng: RNGLike) -> RNGLike:
    """Copy a generator, so that each estimator starts from the same state."""
    return rng if rng is None or isinstance(rng, int) else deepcopy(rng)


def _label(estimator: Estimator) -> str:
    return spec_of(estimator).label


@front_door
def standard_panel(table: CaptureTable | None = None, *, level: float = 0.95) -> dict[str, Estimator]:
    """Make the estimators of the standard panel, by label.

    Parameters
    ----------
    table : CaptureTable, optional
        What they will be fitted to. With six lists and more an average leaves models out, with seven and more a choice
        by BIC or AIC does, which their labels say; searches are cut short after some thousand fits, which is counted.
    level : float
        Of the intervals, above 0.5. The bootstrap takes as many resamples as it needs.

    Returns
    -------
    dict of str to Estimator

    Raises
    ------
    SettingError
        For a level it cannot have.

    Examples
    --------
    >>> list(standard_panel())[:3]
    ['best BIC, bootstrapped', 'independence', 'best BIC model']
    >>> import hiddenpop as hp
    >>> list(standard_panel(hp.datasets.load("uk")))[4]
    'model-averaged (order 2)'
    """
    check_level(level)
    if table is not None:
        check_table(table)
    n_lists = 0 if table is None else table.n_lists - len(table.empty_lists)
    n_observed = 0 if table is None else table.n_observed
    panel = {}
    for label, (name, settings) in STANDARD_PANEL.items():
        named, quick = _in_seconds(label, name, settings, n_lists, n_observed)
        panel[named] = build(name, {**quick, **_at_level(name, settings, level)})
    return panel


def _in_seconds(
    label: str, name: str, settings: Mapping[str, Any], n_lists: int, n_observed: int
) -> tuple[str, dict[str, Any]]:
    """Give label and settings of a method with which it answers in seconds for so many lists and persons."""
    if n_lists <= MOST_LISTS_WHOLE or (name == "selected" and "search" in settings):
        return label, dict(settings)
    order = 2 if n_lists > MOST_LISTS_PROVEN or name == "averaged" else None
    if name == "selected":
        more: dict[str, Any] = {"max_order": order, "max_fits": PANEL_FITS}
    elif name == "averaged":
        more = {"max_order": order}
    elif name == "bootstrapped":
        base = {"max_order": order, "max_fits": _fits_of_resample(n_lists, n_observed)}
        more = {"base": {"name": "selected", "settings": base}}
    else:
        return label, dict(settings)
    return f"{label} (order 2)" if order else label, {**settings, **more}


def _fits_of_resample(n_lists: int, n_observed: int) -> int:
    if n_lists > MOST_LISTS_PROVEN:
        return FITS_OF_MANY_LISTS
    return FITS if n_observed >= SPARSE << n_lists else FITS_WHERE_SPARSE


def _at_level(name: str, settings: Mapping[str, Any], level: float) -> dict[str, Any]:
    if name != "bootstrapped":
        return {"level": level}
    return {"level": level, "n_boot": max(settings["n_boot"], fewest_resamples(level))}
