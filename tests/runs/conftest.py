import importlib
import os
import shutil
from pathlib import Path
from unittest import mock

import pytest

from hiddenpop.runs import run

PLAN = """
[analysis]
title = "Women held at Palembang"
question = "How many were there?"
population = "Korean women held at Palembang"
seed = 1

[data]
table = "korea"

[[estimator]]
label = "one model"
name = "loglinear"
model = "[12,3]"

[[estimator]]
label = "resampled"
name = "bootstrapped"
n_boot = 200
interval = "percentile"
base = { name = "loglinear", model = "[12,3]" }

[choice]
estimator = "resampled"
why = "It is the model of the source."

[sensitivity]
claim = "more than 100"
checks = ["list_influence"]

[report]
formats = []
"""

COUNTS = """police,shelter,clinic,sex,count
1,0,0,f,143
0,1,0,f,88
0,0,1,f,61
1,1,0,f,17
1,0,1,f,13
0,1,1,f,3
1,1,1,f,2
1,0,0,m,70
0,1,0,m,44
0,0,1,m,31
1,1,0,m,12
1,0,1,m,11
0,1,1,m,10
1,1,1,m,5
"""

PRIVATE = """
[analysis]
title = "Three registers"
question = "How many?"
population = "Everybody in 2015"
seed = 3

[data]
file = "counts.csv"
strata = ["sex"]

[[estimator]]
label = "covariates"
name = "covariate_loglinear"
model = "police + shelter + clinic + sex"
n_boot = 200

[choice]
estimator = "covariates"
why = "Within sexes the registers are taken to be independent."

[sensitivity]
checks = ["list_influence"]

[monitor]
subgroups = "sex"

[report]
formats = []
"""


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keyed hashes away from the user's own key; a test in a folder of a session has the key of that session."""
    if "HIDDENPOP_KEY_FILE" not in os.environ:
        monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes most of the time and is tested once."""
    monkeypatch.setattr(importlib.import_module("hiddenpop.runs.write"), "_write_figures", lambda *args: [])


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run both plans once; tests that touch a folder take a copy."""
    folder = tmp_path_factory.mktemp("finished")
    with mock.patch.dict(os.environ, {"HIDDENPOP_KEY_FILE": str(folder / "key")}):
        (folder / "counts.csv").write_text(COUNTS)
        for name, text in (("public", PLAN), ("private", PRIVATE)):
            (folder / f"{name}.toml").write_text(text)
            run(folder / f"{name}.toml", workers=1)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the finished runs with their key."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(folder / "key"))
    return folder
