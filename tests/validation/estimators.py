"""Estimators made for these tests: some that know the answer, some that are broken on purpose."""

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hiddenpop.errors import CapabilityError, CollapsedStrataWarning
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.result import Estimate, Interval
from hiddenpop.table import CaptureTable

HERE = "tests.validation.estimators"


def answer(
    estimator: Any, table: CaptureTable, n_hat: float, low: float, high: float, **more: Any
) -> Estimate:
    return Estimate(
        n_hat=n_hat,
        n_observed=table.n_observed,
        interval=Interval(low, high, 0.95, "made up"),
        estimator=spec_of(estimator),
        table=table.summary,
        **{"status": "ok", **more},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A normal number around a centre, from the generator that it is given."""

    name: ClassVar[str] = f"{HERE}:Guess"
    centre: float = 4000.0

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        n_hat = max(np.random.default_rng(rng).normal(self.centre, 10.0), table.n_observed)
        return answer(self, table, n_hat, max(n_hat - 19.6, table.n_observed), n_hat + 19.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing:
    """Treats no table at all, and warns before it says so."""

    name: ClassVar[str] = f"{HERE}:Refusing"

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        warnings.warn("added up", CollapsedStrataWarning, stacklevel=2)
        raise CapabilityError(f"{table.name} is beyond me")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buggy:
    """Fails as a bug would."""

    name: ClassVar[str] = f"{HERE}:Buggy"

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        raise ZeroDivisionError("a bug")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """The base, its interval shorter than it should be."""

    name: ClassVar[str] = f"{HERE}:Shortened"
    base: Any
    factor: float = 0.8

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        found = self.base.fit(table, rng=rng)
        limits, n = found.interval, found.n_hat
        low = max(n - self.factor * (n - limits.low), table.n_observed)
        return dataclasses.replace(
            found, interval=dataclasses.replace(limits, low=low, high=n + self.factor * (limits.high - n))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """The base, its estimate moved by a share, its interval left where it is."""

    name: ClassVar[str] = f"{HERE}:Shifted"
    base: Any
    share: float = 0.02

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        found = self.base.fit(table, rng=rng)
        return dataclasses.replace(found, n_hat=found.n_hat * (1.0 + self.share))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetsThoseOnAllLists:
    """The base on a table without the persons that every list has seen."""

    name: ClassVar[str] = f"{HERE}:ForgetsThoseOnAllLists"
    base: Any

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        kept = table.histories != (1 << table.n_lists) - 1
        frame = table.to_frame()[kept]
        return self.base.fit(CaptureTable.from_counts(frame, lists=table.lists, public=True), rng=rng)
