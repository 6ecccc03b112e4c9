"""An estimator and a wrapper that no room has heard of: all that is known of them they tell themselves."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario, contract
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.result import Estimate, Interval
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable

HERE = "tests.support.toys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiple(BaseEstimator):
    """So many times the persons observed, give or take a root; three lists or more."""

    name: ClassVar[str] = f"{HERE}:Multiple"
    times: float = 2.0
    level: float = 0.95

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        n = self.prepare(table).n_observed
        error = 2.0 * math.sqrt(self.times * n)
        return Estimate(
            n_hat=self.times * n,
            n_observed=n,
            interval=Interval(max(self.times * n - error, n), self.times * n + error, self.level, "made up"),
            status="ok",
            estimator=spec_of(self),
            table=table.summary,
        )

    @property
    def facts(self) -> Facts:
        return Facts(
            assumes=("homogeneous",),
            model_is="given",
            other_priors=(),
            needs_draws=False,
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> CaptureTable:
        check_table(table)
        if table.n_lists < 3:
            raise CapabilityError(f"{table.name} has {table.n_lists} lists, and I want three")
        return table

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return scenario.unmet("independent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Widened(BaseEstimator):
    """What is inside, its upper limit so many times as far away."""

    name: ClassVar[str] = f"{HERE}:Widened"
    inside: Any = dataclasses.field(default_factory=Multiple)
    share: float = 1.5

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        found = self.inside.fit(table, rng=rng)
        high = found.n_hat + self.share * (found.interval.high - found.n_hat)
        return dataclasses.replace(
            found, estimator=spec_of(self), interval=dataclasses.replace(found.interval, high=high)
        )

    @property
    def facts(self) -> Facts:
        inside = contract(self.inside).facts
        return dataclasses.replace(inside, assumes=inside.assumed_with("as_inside"), adds_interval_only=True)

    def prepare(self, table: CaptureTable) -> Any:
        return contract(self.inside).prepare(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """One that tells nothing but its number."""

    name: ClassVar[str] = f"{HERE}:Silent"
    base: Any = None

    def fit(self, table: CaptureTable, *, rng: Any = None) -> Estimate:
        return dataclasses.replace(Multiple().fit(table), estimator=spec_of(self))
