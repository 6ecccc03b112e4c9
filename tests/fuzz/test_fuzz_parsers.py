"""Everything that is read from text or plain values: models, formulas, claims, settings, cards, estimates."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.limits import REFUSED, answered, damaged, fuzz, nasty, plain, scalars

from hiddenpop import datasets
from hiddenpop.bayes.priors import check_graph_prior, check_log_prior, check_prior, check_range
from hiddenpop.cli.inputs import make_method, read_settings, split_names
from hiddenpop.estimators.covariate_formula import CovariateModel
from hiddenpop.estimators.prepare import as_odds_ratios
from hiddenpop.estimators.registry import ESTIMATORS, build, default_settings
from hiddenpop.estimators.two_lists import Chapman
from hiddenpop.model import HierarchicalModel
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.claims import Claim, as_claim
from hiddenpop.sensitivity.multiverse import as_choices
from hiddenpop.sensitivity.protocol import as_pairs
from hiddenpop.sensitivity.registry import CHECKS, build_check
from hiddenpop.synthetic.cards import toml_text
from hiddenpop.synthetic.library import LIBRARY, scenario

LISTS = ("police", "shelter", "care", "a", "aa", "aaa")
COVARIATES = ("year", "odd name", "1")

pieces = st.sampled_from(
    [*LISTS, *COVARIATES, "`odd name`", "`1`", "[", "]", "(", ")", "*", "+", ":", ",", ".", "-", "~", "|", "**", "^",
     "/", "%in%", "1", "2", "12", "99", "0", " ", "\n", "poly(year, 2)", "C(year)", "linear(", "{", "}", "'", "`",
     "independence", "all-pairs", "main-effects", "é", "__import__('os')", "np.log(year)", "I(year)"]
)  # fmt: skip
formulas = st.lists(pieces, max_size=10).map("".join) | nasty


@fuzz(100)
@given(text=formulas)
@example(text="[" + "9" * 5000 + "]")
@example(text="[" + "a" * 60 + "]")
@example(text="(" * 2000)
@example(text="*".join("a" * 3000))
def test_a_model_of_lists(text: str) -> None:
    model = answered(HierarchicalModel.parse, text, lists=LISTS)
    if model is not REFUSED:
        assert HierarchicalModel.parse(str(model), lists=LISTS) == model
        assert HierarchicalModel.parse(model.to_formula(LISTS), lists=LISTS) == model
    answered(HierarchicalModel.parse, text, n_lists=12)


@fuzz(100)
@given(text=formulas)
@example(text="(" * 2000 + "police" + ")" * 2000)
@example(text="(.)**" + "9" * 5000)
@example(text="police*" * 2000 + "police")
def test_a_model_of_lists_and_covariates(text: str) -> None:
    model = answered(CovariateModel.parse, text, lists=LISTS[:3], covariates=COVARIATES)
    if model is not REFUSED:
        again = CovariateModel.parse(model.formula(), lists=LISTS[:3], covariates=COVARIATES)
        assert again.terms == model.terms


@pytest.mark.parametrize("text", ["(.)**63", "*".join(f"l{i}" for i in range(40)), "."])
def test_a_model_of_forty_lists_ends_soon(text: str) -> None:
    names = [f"l{i}" for i in range(40)]
    answered(CovariateModel.parse, text, lists=names, covariates=[])
    answered(HierarchicalModel.parse, text, lists=names)


numbers = st.from_regex(r"\A[0-9][0-9,_ ]{0,6}(\.[0-9]{1,3})?\Z") | nasty
claims = st.builds(
    "".join,
    st.tuples(st.sampled_from(["more than ", ">", "between ", "at most ", "<= ", "", "from "]), numbers),
) | st.builds("{} {} {}".format, numbers, st.sampled_from(["and", "to", "-", "or"]), numbers)


@fuzz(80)
@given(claim=claims | plain)
@example(claim="> " + "9" * 5000)
@example(claim="more than " + "1 " * 30_000 + "x")
def test_a_claim(claim: Any) -> None:
    found = answered(as_claim, claim)
    if isinstance(found, Claim):
        assert found.low <= found.high
        assert Claim.parse(found.text) == found


READERS = {
    "odds ratios": as_odds_ratios,
    "pairs": as_pairs,
    "choices": as_choices,
    "prior": check_prior,
    "graph prior": check_graph_prior,
    "range": lambda value: check_range(value, None),
}
entries = st.lists(st.tuples(nasty, nasty, scalars), max_size=3) | st.dictionaries(
    st.tuples(nasty, nasty), scalars
)
priors = st.tuples(st.sampled_from(["negative_binomial", "uniform"]), scalars, scalars)


@pytest.mark.parametrize("reader", READERS)
@fuzz(40)
@given(value=plain | entries | priors)
@example(value=10**400)
@example(value=("negative_binomial", 10**400, 1))
@example(value={1: 2})
def test_a_setting_with_a_form_of_its_own(reader: str, value: Any) -> None:
    answered(READERS[reader], value)


@fuzz(40)
@given(values=plain | st.lists(scalars, max_size=4), ends=plain)
def test_a_log_prior(values: Any, ends: Any) -> None:
    answered(check_log_prior, values, check_range(None, None), ends if isinstance(ends, int) else None)


@pytest.mark.parametrize("name", ESTIMATORS)
@fuzz(40)
@given(data=st.data())
def test_any_setting_of_an_estimator(name: str, data: st.DataObject) -> None:
    defaults = default_settings(name)
    key = data.draw(st.sampled_from([*defaults, "no such setting"]))
    value = data.draw(plain | st.just(defaults.get(key)) | st.just(10**400))
    made = answered(build, name, {key: value})
    if made is not REFUSED:
        assert answered(hash, made) is not REFUSED


@pytest.mark.parametrize("name", CHECKS)
@fuzz(40)
@given(data=st.data())
def test_any_setting_of_a_check(name: str, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([*type(build_check(name)).__dataclass_fields__, "no such setting"]))
    answered(build_check, name, {key: data.draw(plain | st.just(10**400))})


@fuzz(40)
@given(name=nasty | st.builds("{}:{}".format, nasty, nasty))
@example(name="os:getcwd")
@example(name="os:path")
@example(name=":x")
@example(name="..a:b")
@example(name="hiddenpop.estimators.two_lists:Chapman.fit")
def test_any_name_of_an_estimator(name: str) -> None:
    answered(build, name, {})
    answered(build, name, {"level": 0.9})


@fuzz(60)
@given(pairs=st.lists(st.builds("{}={}".format, nasty, plain.map(json.dumps) | nasty) | nasty, max_size=3))
@example(pairs=["x=" + "[" * 100_000])
@example(pairs=["level=" + "9" * 400])
@example(pairs=["level=" + "9" * 5000])
def test_settings_on_the_command_line(pairs: list[str]) -> None:
    settings = answered(read_settings, pairs)
    if settings is not REFUSED:
        for name in ("loglinear", "bootstrapped"):
            answered(make_method, name, settings, None)


@fuzz(40)
@given(text=st.text())
def test_names_between_commas(text: str) -> None:
    assert all(name.strip() == name != "" for name in split_names(text))


@fuzz(40)
@given(name=nasty)
def test_names_of_data_sets_and_scenarios(name: str) -> None:
    answered(datasets.load, name)
    answered(datasets.load_counts, name)
    assert name in LIBRARY or answered(scenario, name) is REFUSED


# --- results and cards ---


def written() -> dict[str, Any]:
    table = datasets.load("artificial_3")
    return Chapman(lists=tuple(table.lists[:2])).fit(table).to_dict()


@fuzz(80)
@given(data=st.data())
def test_an_estimate_with_any_field_changed(data: st.DataObject) -> None:
    content = json.loads(json.dumps(written()))
    key = data.draw(st.sampled_from(list(content)))
    if isinstance(content[key], dict) and content[key] and data.draw(st.booleans()):
        inner = data.draw(st.sampled_from(list(content[key])))
        content[key][inner] = data.draw(plain)
    elif data.draw(st.booleans()):
        del content[key]
    else:
        content[key] = data.draw(plain)
    read_back(content)


@fuzz(40)
@given(content=plain)
def test_an_estimate_of_anything(content: Any) -> None:
    read_back(content)


@fuzz(40)
@given(data=st.data())
def test_an_estimate_in_a_damaged_file(data: st.DataObject) -> None:
    text = data.draw(damaged(json.dumps(written()).encode()))
    try:
        content = json.loads(text)
    except ValueError:
        return
    read_back(content)


def read_back(content: Any) -> None:
    found = answered(Estimate.from_dict, content)
    if found is not REFUSED:
        assert json.dumps(found.to_dict(), allow_nan=False)


cards = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@fuzz(80)
@given(content=st.dictionaries(st.text(), cards, max_size=4))
def test_a_card_is_read_back_as_it_was_written(content: dict[str, Any]) -> None:
    text = answered(toml_text, content)
    if text is not REFUSED:
        assert tomllib.loads(text) == content
