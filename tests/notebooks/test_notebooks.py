"""Every notebook runs from a clean kernel, gives the published numbers, and shows what it gives."""

import copy
import json

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from notebooks import execute

FOLDER = execute.FOLDER
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 700_000  # bytes; a notebook is read in a browser

# 00 and 01: what the literature prints for the same table and model (published_figures of the catalogue), and counts of
# models. 02: bootstraps with their seeds; the notebook compares what is printed for them, within the error of a run.
# 03: estimates and simulation studies of invented populations, with their seeds. 04: medians of chains, whose draws
# depend on the processor and on what was compiled when: within two or three Monte Carlo errors of a run. 05: both.
KEY_NUMBERS = {
    "00-start-here": {"independence": 12214.00, "best BIC model": 12349.59, "stepwise": 11417.99},
    "01-first-estimate": {
        "uk, best BIC model": 12349.59,
        "uk, model written down": 12349.59,
        "uk, independence": 12214.00,
        "uk, stepwise": 11417.99,
        "uk_5, best BIC model": 25311.29,
        "uk_5, best BIC model of pairs": 22991.33,
        "uk_5, second of pairs": 12262.41,
        "uk_5, BIC between the two": 197.495 - 196.540,
        "uk_5, models tried": 6893,
        "australia, [234,12]": 2440.40,
    },
    "02-model-uncertainty": {
        "uk_5, lower limit": 11233,
        "uk_5, upper limit": 57629,
        "uk_5, first lump": 12087,
        "uk_5, second lump": 26483,
        "uk_5, share of the first lump": 0.421,
        "uk_5, times as wide": 3.15,
        "uk_5, bagged": 21630,
        "kosovo, lower limit, one model": 9094,
        "kosovo, upper limit, one model": 12000,
        "kosovo, lower limit, all models": 7006,
        "kosovo, upper limit, all models": 18074,
        "kosovo, winners within the best five": 931,
        "uk, lower limit": 8191,
        "uk, upper limit": 28411,
        "uk, share of the first lump": 0.681,
        "small, unbounded": 355,
    },
    "03-how-far-can-we-trust-it": {
        "first estimate": 2886.0,
        "coverage where all holds": 0.946,
        "referral chain, independence, bias": -0.4736,
        "rasch, best BIC model, bias": -0.1597,
        "trap shy, lower bound, bias": 0.6724,
        "missed links, lower bound, bias": 0.2634,
        "over-coverage, best BIC model, bias": 0.3215,
        "undeclared gap, independence, bias": -0.3901,
        "tiny overlaps, without upper limit": 0.05,
        "people in the twin": 8124,
        "one table, all pairs": 6745.7,
        "unlike lists, lower bound, bias": -0.1039,
        "unlike lists, closed form, bias": 0.3023,
        "all pairs, best BIC model, coverage": 0.15,
        "all pairs, percentile bootstrap, coverage": 0.8833,
        "country, observed by person": 1126,
        "country, observed by key": 1198,
        "countries, independence by person": 2333.8,
        "countries, independence by key": 2953.3,
    },
    "04-bayesian-estimates": {
        "kosovo, averaged": 11750,
        "kosovo, decomposable": 12600,
        "kosovo, normal priors": 14200,
        "kosovo, horseshoe": 14000,
        "kosovo, thresholded": 14050,
        "kosovo, latent classes": 10430,
        "kosovo, xi = 1": 17000,
        "uk_5, decomposable": 23000,
        "uk_5, averaged": 13330,
        "uk_5, normal priors": 13800,
        "uk_5, horseshoe": 13800,
        "uk_5, thresholded": 12370,
        "uk_5, latent classes": 22200,
        "uk_5, delta = 1": 2806,
        "scotland, bounded": 23400,
    },
    "05-by-year-group-and-place": {
        "one model": 10454,
        "one model, low": 7489,
        "one model, high": 16243,
        "search, by BIC": 11406,
        "search, by AIC": 8337,
        "lists alone": 9980,
        "strata without an estimate": 3,
        "observed only": 7592,
        "wrong trend": 1.576,
        "right trend": 0.8143,
        "pooled": 5943,
        "pooled, limits that hold the truth": 0.968,
        "probability of the top ten, of the true ten": 9.145,
        "labour, first to last year": 0.652,
    },
    "06-sensitivity-for-a-report": {
        "netherlands_5": 148789,
        "netherlands_5, without R": 30462,
        "netherlands_5, one person fewer": 48012,
        "netherlands_5, lower end at 0.8 of the data": 47702,
        "netherlands_5, multiplier that breaks the claim": 0.29715,
        "netherlands_5, low under xi from 1/2 to 2": 64260,
        "uk_5": 25311,
        "uk_5, smallest of the multiverse": 5552,
    },
}
TOLERANCES = {
    "00-start-here": {"rel": 0, "abs": 0.0051},
    "01-first-estimate": {"rel": 0, "abs": 0.0051},
    "02-model-uncertainty": {"rel": 0.01, "abs": 0},
    "03-how-far-can-we-trust-it": {"rel": 0.01, "abs": 0},
    "04-bayesian-estimates": {"rel": 0.04, "abs": 0},
    "05-by-year-group-and-place": {"rel": 0.04, "abs": 0},
    "06-sensitivity-for-a-report": {"rel": 0.01, "abs": 0},
}
STATUSES = {
    "00-start-here": {"best": "ok"},
    "01-first-estimate": {"without_limit": "unbounded", "australia": "ok", "one_model": "ok"},
    "02-model-uncertainty": {"chosen": "ok", "honest": "ok", "six": "ok", "open_ended": "ok"},
    "03-how-far-can-we-trust-it": {"first": "ok", "one_table": "ok", "together": "ok"},
    "04-bayesian-estimates": {
        "first": "ok",
        "stuck": "not_converged",
        "refused": "not_identified",
        "bounded": "ok",
    },
    "05-by-year-group-and-place": {
        "one_model": "ok",
        "chosen": "ok",
        "says_nothing": "unbounded",
        "pooled": "ok",
    },
    "06-sensitivity-for-a-report": {"first": "ok", "united_kingdom": "ok"},
}

LONG = {"03-how-far-can-we-trust-it", "04-bayesian-estimates", "05-by-year-group-and-place"}
"""Simulation studies and chains: minutes each, half of it compiling; run with the statistical tests."""

# A number that is off by this factor must be noticed by the notebook itself.
FAULT = {"04-bayesian-estimates": 1.1, "05-by-year-group-and-place": 1.1}

STRICT = 'import warnings\nwarnings.simplefilter("error")'
LOOK = """
import json as _json
print(_json.dumps({{
    "key_numbers": {{name: float(value) for name, value in key_numbers.items()}},
    "statuses": {{name: globals()[name].status for name in {names!r}}},
}}))
"""


def run(notebook, folder):
    """Execute a copy, warnings being errors in its kernel, with nothing read or left outside `folder`."""
    strict = copy.deepcopy(notebook)
    strict.cells.insert(0, new_code_cell(STRICT))
    return execute.run(strict, folder)


@pytest.fixture(scope="module", autouse=True)
def _own_places(tmp_path_factory):
    """The key of fingerprints and the settings of whoever runs the tests stay out of it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIDDENPOP_KEY_FILE", str(home / "key"))
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        patch.setenv("JUPYTER_CONFIG_DIR", str(home / "jupyter"))
        yield


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else [])
        for path in NOTEBOOKS
    ],
)
def executed(request, tmp_path_factory):
    """Name of a notebook, the notebook as stored, and the same executed with its namespace read at the end."""
    stored = nbformat.read(request.param, as_version=4)
    asked = copy.deepcopy(stored)
    name = request.param.stem
    asked.cells.append(new_code_cell(LOOK.format(names=list(STATUSES[name]))))
    return name, stored, run(asked, tmp_path_factory.mktemp("notebook"))


def shown_text(cell):
    """What a code cell shows in words."""
    return [
        output.text if output.output_type == "stream" else output.data["text/plain"]
        for output in cell.outputs
        if output.output_type == "stream" or "image/png" not in output.data
    ]


def assertions_hold(cell, key_numbers):
    """Whether what a cell asserts of the key numbers is true of these."""
    claims = [
        line for line in cell.source.splitlines() if line.startswith("assert ") and "key_numbers" in line
    ]
    return all(eval(claim.removeprefix("assert "), {"key_numbers": key_numbers}) for claim in claims)


def test_there_is_a_notebook_and_each_has_its_numbers():
    assert {path.stem for path in NOTEBOOKS} == set(KEY_NUMBERS) == set(STATUSES)


def test_namespace_holds_the_key_numbers(executed):
    name, _, fresh = executed
    found = json.loads(fresh.cells[-1].outputs[0].text)
    assert found["key_numbers"] == pytest.approx(KEY_NUMBERS[name], **TOLERANCES[name])
    assert found["statuses"] == STATUSES[name]


def test_stored_outputs_are_those_of_the_code(executed):
    """Those of cells tagged "sampled" differ from processor to processor; the key numbers stand for them."""
    _, stored, fresh = executed
    texts = {
        cell.id: (shown_text(cell), shown_text(again))
        for cell, again in zip(stored.cells, fresh.cells[1:-1], strict=True)
        if cell.cell_type == "code" and "sampled" not in cell.metadata.get("tags", [])
    }
    stale = {name: pair for name, pair in texts.items() if pair[0] != pair[1]}
    assert not stale, "run `make notebooks`"


def test_nothing_is_said_on_stderr(executed):
    _, _, fresh = executed
    streams = [
        output
        for cell in fresh.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "name" in output
    ]
    assert {stream.name for stream in streams} == {"stdout"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_file_is_valid_and_small(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize(
    ("stem", "number"), [(stem, number) for stem, numbers in KEY_NUMBERS.items() for number in numbers]
)
def test_check_cell_guards_each_number(stem, number):
    notebook = nbformat.read(FOLDER / f"{stem}.ipynb", as_version=4)
    (check,) = [cell for cell in notebook.cells if "check" in cell.metadata.get("tags", [])]
    right = KEY_NUMBERS[stem]
    assert assertions_hold(check, right)
    assert not assertions_hold(check, {**right, number: FAULT.get(stem, 1.02) * right[number]})


def test_a_warning_in_a_notebook_is_an_error(tmp_path):
    warns = new_notebook(cells=[new_code_cell('import warnings\nwarnings.warn("a stale call")')])
    with pytest.raises(CellExecutionError, match="a stale call"):
        run(warns, tmp_path)
