"""Every estimator in a run: its steps and blocks can be kept, and give the same when they are read again."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from hiddenpop import datasets
from hiddenpop.estimators.registry import ESTIMATORS, build
from hiddenpop.parallel import parallel
from hiddenpop.runs.execute import Steps
from hiddenpop.runs.sections import refusal

SETTINGS: dict[str, tuple[str, dict[str, object]]] = {
    "lincoln_petersen": ("kosovo", {"lists": ["EXH", "OSCE"]}),
    "chapman": ("kosovo", {"lists": ["EXH", "OSCE"]}),
    "bootstrapped": ("kosovo", {"base": {"name": "selected", "settings": {}}, "n_boot": 60, "level": 0.8}),
    "covariate_loglinear": ("spina_bifida", {"model": "main-effects", "n_boot": 100, "level": 0.8}),
    "covariate_selected": ("spina_bifida", {"n_boot": 100, "level": 0.8}),
    "stratified": ("spina_bifida", {"base": {"name": "loglinear", "settings": {}}}),
    "pooled": ("spina_bifida", {"n_draws": 100, "n_tune": 100}),
    "latent_class": ("kosovo", {"n_classes": 2, "n_draws": 100, "n_tune": 100, "n_temperatures": 4}),
    "bayesian_loglinear": ("kosovo", {"n_draws": 100, "n_tune": 100}),
    "thresholded": ("kosovo", {"n_draws": 200, "n_tune": 100}),
}
REFUSED = {
    "lincoln_petersen": {"lists": ["EXH", "UN"]},
    "chapman": {},
    "bootstrapped": {"base": {"name": "chapman", "settings": {}}},
    "loglinear": {"model": "[12,9]"},
    "selected": {"odds_ratios": [["EXH", "UN", 2.0]]},
    "covariate_loglinear": {"model": "EXH*region + ABA"},
    "stratified": {"base": {"name": "chapman", "settings": {}}},
    "identified": {"assumption": "marginal", "lists": ["EXH", "UN"]},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hiddenpop.errors.CollapsedStrataWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_steps_and_blocks_of_every_estimator_are_kept(name: str, tmp_path: Path) -> None:
    data, settings = SETTINGS.get(name, ("kosovo", {}))
    table, method = datasets.load(data), build(name, settings)
    assert refusal(method, table) == ""
    steps = Steps(tmp_path / "steps", "run")
    with parallel(workers=1, store=tmp_path / "blocks"):
        first = steps.done("estimate", name, lambda: method.fit(table, rng=1))
    with parallel(workers=1, store=tmp_path / "blocks"):
        from_blocks = method.fit(table, rng=1)
    kept = steps.done("estimate", name, lambda: pytest.fail("it was kept"))
    alone = method.fit(table, rng=1)
    written = {json.dumps(found.to_dict()) for found in (first, from_blocks, kept, alone)}
    assert len(written) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_estimator_refuses_is_known_without_fitting(name: str) -> None:
    table = datasets.load("kosovo")
    method = build(name, REFUSED[name])
    told = refusal(method, table)
    assert told
    with pytest.raises(Exception, match=r".") as caught:
        method.fit(table, rng=1)
    assert str(caught.value) in told


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("selected", {"search": "exhaustive"}),
        ("latent_class", {}),
        ("bayesian_averaged", {}),
        ("decomposable", {}),
        ("thresholded", {}),
    ],
)
def test_tables_of_a_size_that_cannot_be_are_refused(name: str, settings: dict[str, object]) -> None:
    few, many = datasets.load("kosovo").drop_list("ABA", "OSCE"), datasets.load("new_orleans_185")
    told = [refusal(build(name, settings), table) for table in (few, many)]
    assert any(told), name


def test_strata_that_are_not_there_are_refused() -> None:
    method = build("stratified", {"base": {"name": "loglinear", "settings": {}}, "by": ["sex"]})
    assert "no covariate 'sex'" in refusal(method, datasets.load("spina_bifida"))


def test_an_estimator_of_ones_own_is_not_looked_into() -> None:
    class Mine:
        name = "mine"

    assert refusal(dataclass(Mine)(), datasets.load("kosovo")) == ""
