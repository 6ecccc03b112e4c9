import time
from dataclasses import replace

import numpy as np
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.synthetic import (
    ASSUMPTIONS,
    LIBRARY,
    CellLaw,
    Group,
    IndependentLists,
    LatentClasses,
    LogLinearLaw,
    MissedLinks,
    RaschNormal,
    Scenario,
    fitted_scenario,
    implied_assumptions,
    implied_model,
    scenario,
)

CLEAN = {"closed", "linked", "in_scope", "operating", "known_strata"}


@pytest.mark.parametrize("name", LIBRARY)
def test_scenarios_declare_what_their_cells_imply(name: str) -> None:
    world = scenario(name)
    assert world.assumptions == implied_assumptions(world)
    assert world.model == implied_model(world.cell_probabilities())
    # Every assumption less, or more, is noticed.
    for assumption in set(ASSUMPTIONS) - {"log_linear"}:
        other = replace(world, assumptions=world.assumptions ^ {assumption})
        assert other.assumptions != implied_assumptions(other)


@pytest.mark.parametrize("name", LIBRARY)
def test_names_are_keys_and_descriptions_are_sentences(name: str) -> None:
    world = LIBRARY[name]
    assert world.name == name
    assert world.description.endswith(".")
    assert world.description[0].isupper()


def test_the_library_covers_what_it_promises() -> None:
    assert len(LIBRARY) >= 24
    for t in (3, 4, 5):
        good = [
            world
            for world in LIBRARY.values()
            if len(world.lists) == t
            and world.assumptions >= CLEAN | {"log_linear"}
            and world.truth >= 2000
            and world.expected_overlap() >= 50
        ]
        assert any("independent" in world.assumptions for world in good)
        assert any("independent" not in world.assumptions for world in good)
    for assumption in ASSUMPTIONS:
        held = [assumption in world.assumptions for world in LIBRARY.values()]
        assert any(held)
        assert not all(held)
    parts = {
        type(part).__name__
        for world in LIBRARY.values()
        for part in (*(group.law for group in world.groups), *world.distortions)
    }
    assert parts >= {
        "BehaviouralResponse",
        "BetaPropensity",
        "FalseLinks",
        "IndependentLists",
        "LatentClasses",
        "ListGap",
        "LogLinearLaw",
        "MissedLinks",
        "MissingLevels",
        "OpenPopulation",
        "OverCoverage",
        "RaschNormal",
        "ReferralLaw",
    }
    observed = [w.truth * (1 - w.hidden_share) for w in LIBRARY.values() if len(w.lists) == 8]
    assert min(observed) < 60
    assert all(40 < n < 300 for n in observed)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_table_of_a_million_persons_takes_less_than_a_second(name: str) -> None:
    world = scenario(name).resized(10**6)
    start = time.perf_counter()
    world.draw(rng=1)
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize(
    ("name", "data", "model"),
    [("like-uk", "uk", "[12,13,25,35,36,45]"), ("like-kosovo", "kosovo", "[123,14,34]")],
)
def test_fitted_scenarios_of_the_library_are_the_fits(name: str, data: str, model: str) -> None:
    world = scenario(name)
    fitted = fitted_scenario(hp.datasets.load(data), model, name="fitted")
    assert (world.truth, world.model) == (fitted.truth, fitted.model)
    # Coefficients are written to four decimals.
    assert world.cell_probabilities() == pytest.approx(fitted.cell_probabilities(), rel=5e-4)


# --- fitted to a table -----------------------------------------------------------------------------------------


def test_a_fitted_scenario_gives_back_its_model_and_its_size() -> None:
    table = hp.datasets.load("kosovo")
    estimate = hp.LogLinear(model="[123,14,34]").fit(table)
    world = fitted_scenario(table, "EXH*ABA*OSCE + EXH*HRW + OSCE*HRW", name="like-kosovo")
    assert world.truth == round(estimate.n_hat)
    assert world.lists == table.lists
    assert world.assumptions == implied_assumptions(world)
    assert world.hidden_share == pytest.approx(1 - 4400 / estimate.n_hat, rel=1e-9)
    again = hp.LogLinear(model="[123,14,34]").fit(world.resized(10**7).draw(rng=4))
    assert again.n_hat == pytest.approx(10**7, rel=0.01)


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ([0, 10, 20, 0], "unbounded"),
        ([0, 10, 0, 20], "boundary"),
        ([0, 10, 20, 5], "not_identified"),
    ],
)
def test_a_model_without_a_size_is_refused(counts: list[int], status: str) -> None:
    model = "[12]" if status == "not_identified" else "independence"
    with pytest.raises(SettingError, match=f"has status '{status}' .*choose another model"):
        fitted_scenario(table_of(counts), model, name="refused")


# --- what cells imply ------------------------------------------------------------------------------------------


def of(law: object, *others: object, **settings: object) -> Scenario:
    groups = tuple(Group(size=1000, law=each, strata={"k": str(i)}) for i, each in enumerate((law, *others)))
    lists = tuple(f"l{i}" for i in range(law.n_lists))
    return Scenario(name="x", description="X.", lists=lists, groups=groups, **settings)


@pytest.mark.parametrize("size", [1e-7, 0.1])
def test_a_small_interaction_is_no_independence(size: float) -> None:
    cells = (0.25 + size, 0.25 - size, 0.25 - size, 0.25 + size)
    assert not {"independent", "log_linear"} & implied_assumptions(of(CellLaw(probabilities=cells)))
    assert "independent" in implied_assumptions(of(CellLaw(probabilities=(0.25,) * 4)))


def test_rasch_is_told_from_other_heterogeneity() -> None:
    common = LatentClasses(weights=(0.5, 0.5), probabilities=((0.5, 0.5, 0.5), (0.1, 0.1, 0.1)))
    crossed = LatentClasses(weights=(0.5, 0.5), probabilities=((0.5, 0.1, 0.3), (0.1, 0.5, 0.3)))
    assert "rasch" in implied_assumptions(of(common))
    assert "rasch" not in implied_assumptions(of(crossed))
    assert "rasch" in implied_assumptions(of(RaschNormal(probabilities=(0.4, 0.1, 0.1, 0.02), sd=3.0)))


def test_negative_dependence_alike_in_every_pair_is_quasi_symmetric_but_no_mixture() -> None:
    names = {"l0": -1.0, "l1": -1.5, "l2": -2.0, "l0*l1": -0.5, "l0*l2": -0.5, "l1*l2": -0.5}
    world = of(LogLinearLaw(lists=("l0", "l1", "l2"), coefficients=names))
    assert "rasch" not in implied_assumptions(world)
    positive = {name: abs(value) if "*" in name else value for name, value in names.items()}
    assert "rasch" in implied_assumptions(of(LogLinearLaw(lists=("l0", "l1", "l2"), coefficients=positive)))


def test_unlike_strata_are_neither_homogeneous_nor_independent() -> None:
    one, other = IndependentLists(probabilities=(0.3, 0.2)), IndependentLists(probabilities=(0.1, 0.4))
    assert {"homogeneous", "independent"} <= implied_assumptions(of(one, one))
    assert not {"homogeneous", "independent"} & implied_assumptions(of(one, other))


def test_a_distortion_without_effect_breaks_nothing() -> None:
    law = IndependentLists(probabilities=(0.3, 0.2))
    assert "linked" in implied_assumptions(of(law, distortions=(MissedLinks(rate=0.0),)))
    assert "linked" not in implied_assumptions(of(law, distortions=(MissedLinks(rate=0.01),)))


def test_empty_cells_that_no_model_explains_have_none() -> None:
    assert implied_model(np.array([0.4, 0.0, 0.3, 0.3])) is None
    assert implied_model(np.array([0.0, 0.4, 0.3, 0.3])) is None
    cells = IndependentLists(probabilities=(0.3, 0.2, 0.1)).cell_probabilities()
    cells[3], cells[0] = 0.0, cells[0] + cells[3]
    assert implied_model(cells) is None
