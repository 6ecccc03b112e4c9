import itertools
import time
import warnings

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.errors import (
    CapabilityError,
    CollapsedStrataWarning,
    ConstantListWarning,
    EmptyListWarning,
    SettingError,
    TableError,
    UnknownNameError,
)
from hiddenpop.estimators.covariate_design import MOST_NUMBERS, covariate_design
from hiddenpop.estimators.covariate_formula import model_of_table
from hiddenpop.table import CaptureTable, Coverage

SEX, AGE, YEAR = ("f", "m"), ("0-17", "18+", "unknown"), ("9", "10", "11")


def rows(lists="abc", sex=SEX, age=AGE):
    """A count in every cell of lists, sex and age; its value tells the cell."""
    return pd.DataFrame(
        [
            {
                **{name: h >> i & 1 for i, name in enumerate(lists)},
                "sex": s,
                "age": a,
                "count": 100 * i + 10 * j + h,
            }
            for i, s in enumerate(sex, 1)
            for j, a in enumerate(age, 1)
            for h in range(1, 1 << len(lists))
        ]
    )


def table_of(frame, lists="abc", strata=("sex", "age"), **labels):
    return CaptureTable.from_counts(frame, lists=list(lists), strata=list(strata), name="made", **labels)


def design(table, covariates=("sex", "age"), **settings):
    return covariate_design(table, covariates=covariates, estimator="test", **settings)


def columns_of(made, table, formula):
    model = model_of_table(formula, table).onto(made.factors)
    return (*made.columns(model.terms), made.labels(model.terms), model)


# --- cells ------------------------------------------------------------------------------------------------------------


def test_every_cell_has_its_count_and_its_stratum():
    made = design(table_of(rows()))
    assert made.strata.to_dict("list") == {"sex": ["f"] * 3 + ["m"] * 3, "age": list(AGE) * 2}
    assert len(made.counts) == 6 * 7
    expected = [100 * (s // 3 + 1) + 10 * (s % 3 + 1) + h for s in range(6) for h in range(1, 8)]
    assert made.counts.tolist() == expected
    assert made.histories.tolist() == list(range(1, 8)) * 6
    assert made.stratum_of.tolist() == [s for s in range(6) for _ in range(7)]
    assert made.hidden_stratum.tolist() == list(range(6))
    assert made.observed_by_stratum().sum() == made.n_observed == sum(expected)


def test_combinations_that_nobody_has_exist_unless_only_observed_ones_do():
    frame = rows().query("not (sex == 'm' and age == '18+')")
    crossed, observed = (design(table_of(frame), combinations=c) for c in ("crossed", "observed"))
    assert (len(crossed.strata), len(observed.strata)) == (6, 5)
    assert crossed.observed_by_stratum()[4] == 0
    assert ("m", "18+") not in set(observed.strata.itertuples(index=False, name=None))
    assert crossed.n_observed == observed.n_observed
    everywhere = [design(table_of(rows()), combinations=c) for c in ("crossed", "observed")]
    assert everywhere[0].counts.tolist() == everywhere[1].counts.tolist()
    assert everywhere[0].strata.equals(everywhere[1].strata)


def test_levels_have_their_natural_order_or_the_one_given():
    frame = rows(age=("10", "9", "11"))
    assert design(table_of(frame)).levels["age"] == YEAR
    ordered = design(table_of(frame), levels=(("age", ("11", "9", "10")),))
    assert ordered.levels["age"] == ("11", "9", "10")
    assert ordered.strata["age"].tolist()[:3] == ["11", "9", "10"]


def test_a_level_that_is_named_and_that_nobody_has_exists_where_combinations_are_crossed():
    given = (("age", ("0-17", "newborn", "18+", "unknown")),)
    crossed = design(table_of(rows()), levels=given, coding=(("age", "linear"),))
    assert len(crossed.strata) == 8
    assert ("empty_level", "nobody seen has age at newborn") in [
        (d.name, d.message) for d in crossed.diagnostics
    ]
    observed = design(table_of(rows()), levels=given, coding=(("age", "linear"),), combinations="observed")
    assert observed.levels["age"] == AGE
    assert observed.blocks["age"].matrix.ravel().tolist() == [0.0, 2.0, 3.0]


def test_a_level_that_the_order_lacks_is_named():
    with pytest.raises(UnknownNameError, match=r"no level in levels\['age'\] '18\+'.*did you mean '18'"):
        design(table_of(rows()), levels=(("age", ("0-17", "18", "unknown")),))


def test_a_covariate_that_does_not_vary_is_left_out_and_told():
    made = design(table_of(rows(sex=("f",))))
    assert made.covariates == ("age",)
    assert made.factors == ("a", "b", "c", "age")
    assert made.strata["sex"].tolist() == ["f"] * 3
    assert [(d.name, d.value) for d in made.diagnostics] == [("constant_covariate", "sex")]


def test_covariates_that_the_model_leaves_out_are_added_up_and_told():
    with pytest.warns(CollapsedStrataWarning, match="test added up age, which the model leaves out"):
        made = design(table_of(rows()), covariates=("sex",))
    assert made.strata["sex"].tolist() == list(SEX)
    assert made.counts.tolist() == [3 * 100 * i + 60 + 3 * h for i in (1, 2) for h in range(1, 8)]
    assert [d.name for d in made.diagnostics] == ["collapsed_strata"]


def test_a_list_that_caught_nobody_is_left_out_and_told():
    with pytest.warns(EmptyListWarning, match="'z' caught nobody"):
        table = table_of(rows().assign(z=0), lists="azbc")
    with pytest.warns(EmptyListWarning, match="z caught nobody and is left out"):
        made = design(table)
    assert (made.lists, made.dropped) == (("a", "b", "c"), ("z",))


# --- columns ----------------------------------------------------------------------------------------------------------


def test_columns_are_products_with_the_intercept_first():
    table = table_of(rows())
    made = design(table)
    X, hidden, term_of, labels, model = columns_of(made, table, "a*b + c + a*age + sex*age")
    assert labels[:5] == ("intercept", "a", "b", "c", "sex[m]")
    assert labels[5:] == (
        "age[18+]", "age[unknown]", "a*b", "a*age[18+]", "a*age[unknown]", "sex[m]*age[18+]", "sex[m]*age[unknown]",
    )  # fmt: skip
    assert term_of.tolist() == [-1, 0, 1, 2, 3, 4, 4, 5, 6, 6, 7, 7]
    assert X.shape == (42, 12)
    on = {name: (made.histories >> i & 1).astype(float) for i, name in enumerate("abc")}
    level = {
        f"{name}[{value}]": (made.strata[name].to_numpy()[made.stratum_of] == value).astype(float)
        for name, values in (("sex", SEX), ("age", AGE))
        for value in values
    }
    for column, label in enumerate(labels[1:], 1):
        expected = np.prod([{**on, **level}[part] for part in label.split("*")], axis=0)
        assert X[:, column].tolist() == expected.tolist()
    assert hidden[:, [1, 2, 3, 7, 8, 9]].sum() == 0.0
    assert hidden[:, 4].tolist() == [0, 0, 0, 1, 1, 1]
    assert hidden[:, 11].tolist() == [0, 0, 0, 0, 0, 1]
    assert [model.label(term) for term in model.terms][6] == "a*age"


def test_the_columns_of_two_polynomials_are_named_with_the_last_changing_fastest():
    table = table_of(rows(sex=("1", "2", "3"), age=YEAR))
    made = design(table, coding=(("age", "poly(2)"), ("sex", "poly(2)")))
    X, _, _, labels, _ = columns_of(made, table, "a + b + c + sex*age")
    assert labels[-4:] == (
        "sex[poly 1]*age[poly 1]", "sex[poly 1]*age[poly 2]", "sex[poly 2]*age[poly 1]", "sex[poly 2]*age[poly 2]",
    )  # fmt: skip
    at = {label: i for i, label in enumerate(labels)}
    assert X[:, at[labels[-2]]] == pytest.approx(X[:, at["sex[poly 2]"]] * X[:, at["age[poly 1]"]])
    # Orthonormal over all cells, those of the hidden persons included: 9 strata of 8.
    assert (X[:, at["sex[poly 1]"]] ** 2).sum() == pytest.approx(7 / 8)


# --- structural zeros -------------------------------------------------------------------------------------------------


def zero_out(frame, **values):
    here = np.logical_and.reduce([frame[name] == value for name, value in values.items()])
    return frame.assign(count=frame["count"].where(~here, 0))


def test_lists_that_exclude_each_other_have_no_cells_together():
    made = design(table_of(zero_out(rows(), a=1, b=1)), structural_zeros=("a*b",))
    assert made.histories.tolist() == [1, 2, 4, 5, 6] * 6
    assert len(made.hidden_stratum) == 6


def test_levels_that_exclude_each_other_hold_nobody_hidden_either():
    table = table_of(zero_out(rows(), sex="m", age="0-17"))
    made = design(table, structural_zeros=("sex=m*age=0-17",))
    assert len(made.counts) == 5 * 7
    assert made.hidden_stratum.tolist() == [0, 1, 2, 4, 5]
    X, hidden, _, _, _ = columns_of(made, table, "a + b + c + sex*age")
    assert (X.shape[0], hidden.shape[0]) == (35, 5)
    assert len(made.observed_by_stratum()) == 5


def test_a_list_that_cannot_hold_a_level_has_no_cells_there_and_its_hidden_persons_stay():
    made = design(table_of(zero_out(rows(), a=1, age="0-17")), structural_zeros=("a*age=0-17",))
    here = made.strata["age"].to_numpy()[made.stratum_of] == "0-17"
    assert sorted(set(made.histories[here])) == [2, 4, 6]
    assert sorted(set(made.histories[~here])) == list(range(1, 8))
    assert len(made.hidden_stratum) == 6


def test_persons_where_nobody_can_be_are_refused():
    with pytest.raises(TableError, match=r"a\*age=0-17 cannot be, and made counts persons there"):
        design(table_of(rows()), structural_zeros=("a*age=0-17",))


@pytest.mark.parametrize(
    ("zero", "error", "message"),
    [
        (
            "a*d",
            UnknownNameError,
            r"names 'd', and made has no such list.* it has a, b, c, age=\.\.\., sex=\.\.\.",
        ),
        ("a*agee=0-17", UnknownNameError, "names 'agee=0-17'"),
        ("a*age=0-18", UnknownNameError, r"no level of 'age' '0-18'.*did you mean '0-17'"),
        ("age=0-17*age=18+", SettingError, "nobody has two levels of one covariate"),
    ],
)
def test_combinations_of_what_is_not_there_are_refused(zero, error, message):
    with pytest.raises(error, match=message):
        design(table_of(rows(), strata=("age", "sex")), structural_zeros=(zero,))


def test_a_combination_with_a_covariate_that_the_model_leaves_out_is_refused():
    with pytest.raises(CapabilityError, match=r"'a\*age=0-17' and the model leaves age out.*add \+ age"):
        design(table_of(rows()), covariates=("sex",), structural_zeros=("a*age=0-17",))


def test_names_with_the_sign_of_a_level_are_read():
    frame = rows().rename(columns={"age": "x=y"}).assign(**{"x=y": lambda f: f["x=y"].replace("0-17", "a=b")})
    made = design(
        table_of(zero_out(frame, a=1, **{"x=y": "a=b"}), strata=("sex", "x=y")),
        covariates=("sex", "x=y"),
        structural_zeros=("a*x=y=a=b",),
    )
    assert made.zeros[0].levels == (("x=y", "a=b"),)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_gaps_by_a_covariate_that_is_left_out_and_bounds_are_refused_with_what_to_use():
    frame = rows().query("not (c == 1 and sex == 'm')")
    gaps = table_of(frame, coverage=[Coverage("c", "sex", ("f",))])
    with pytest.raises(CapabilityError, match=r"c did not operate in every stratum of made.*add \+ sex"):
        design(gaps, covariates=("age",))
    censored = CaptureTable.from_counts(
        rows().assign(censored=lambda f: f.index == 3),
        lists=list("abc"), strata=["sex", "age"], censored="censored", name="made",
    )  # fmt: skip
    with pytest.raises(CapabilityError, match=r"only an upper bound.*take bayesian_loglinear"):
        design(censored)


def test_one_list_is_too_few_and_two_are_enough():
    with pytest.warns(ConstantListWarning, match="'a' caught everybody"):
        lonely = table_of(rows(lists="a"), lists="a")
    with pytest.raises(CapabilityError, match="at least 2 lists that caught somebody; made has 1"):
        design(lonely)
    assert len(design(table_of(rows(lists="ab"), lists="ab")).counts) == 18


@pytest.mark.parametrize("name", ["status", "n_hat"])
def test_a_covariate_with_the_name_of_a_result_is_refused(name):
    frame = rows().rename(columns={"age": name})
    with pytest.raises(CapabilityError, match=f"called '{name}' has the name of a column of results"):
        design(table_of(frame, strata=("sex", name)), covariates=("sex", name))


def test_a_covariate_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match=r"no covariate 'agee'.*did you mean 'age'"):
        design(table_of(rows()), coding=(("agee", "linear"),))


def many_strata(n_levels, n_covariates):
    frame = pd.DataFrame({f"x{k}": [f"l{i}" for i in range(n_levels)] for k in range(n_covariates)})
    frame = frame.assign(a=1, b=[i % 2 for i in range(n_levels)], c=1, d=0, count=3)
    frame = pd.concat([frame, frame.assign(a=0, d=1)])
    return table_of(frame, lists="abcd", strata=[f"x{k}" for k in range(n_covariates)])


def test_a_table_too_large_to_lay_out_is_refused_at_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        huge = many_strata(1000, 6)
    names = [f"x{k}" for k in range(6)]
    start = time.process_time()
    with pytest.raises(CapabilityError, match=r"1,000,000,000,000,000,000 strata.*combinations=\"observed\""):
        design(huge, covariates=names)
    with pytest.raises(
        CapabilityError, match=r"1,000 strata, 16,000 cells, with 5,999 columns.*leave covariates out"
    ):
        design(huge, covariates=names, combinations="observed")
    linear = tuple((name, "linear") for name in names)
    made = design(huge, covariates=names, combinations="observed", coding=linear[2:])
    assert len(made.strata) == 1000
    with pytest.raises(CapabilityError, match=r"15,000 cells and 1,000,\d+ columns.*leave covariates out"):
        columns_of(made, huge, ". + x0:x1")
    assert time.process_time() - start < 1.0


def test_a_covariate_that_tells_persons_apart_is_refused_before_its_columns_are_made():
    n = 20_000
    frame = pd.DataFrame({"a": 1, "b": np.arange(n) % 2, "who": np.arange(n).astype(str), "count": 1})
    table = table_of(
        frame.assign(a=np.where(frame["b"] == 0, 1, np.arange(n) % 3 % 2)), lists="ab", strata=("who",)
    )
    start = time.process_time()
    with pytest.raises(CapabilityError, match=r"80,000 cells, with 20,002 columns or more"):
        design(table, covariates=("who",), combinations="observed")
    assert time.process_time() - start < 1.0


def test_ten_thousand_strata_with_thirty_columns_fit_in_a_second():
    rng = np.random.default_rng(4)
    n = 30_000
    frame = pd.DataFrame(rng.integers(0, 2, (n, 4)), columns=list("abcd")).assign(
        m=rng.integers(1, 401, n).astype(str), y=rng.integers(1, 26, n).astype(str)
    )
    table = CaptureTable.from_indicators(
        frame[frame[list("abcd")].any(axis=1)], lists=list("abcd"), strata=["m", "y"]
    )
    made = design(table, covariates=("m", "y"), coding=(("m", "linear"),))
    start = time.process_time()
    X, hidden, _, labels, _ = columns_of(made, table, "a*b + c + d + m + y")
    assert X.shape == (150_000, len(labels)) == (150_000, 31)
    assert hidden.shape == (10_000, 31)
    assert time.process_time() - start < 1.0
    assert X.size < MOST_NUMBERS


def test_the_cells_of_a_table_do_not_depend_on_empty_rows():
    frame = rows().assign(count=lambda f: f["count"].where(f.index % 3 > 0, 0))
    assert (
        design(table_of(frame)).counts.tolist() == design(table_of(frame.query("count > 0"))).counts.tolist()
    )


def test_simdat_has_as_many_cells_as_its_levels_say():
    table = hp.datasets.load("simdat")
    made = covariate_design(table, covariates=tuple(table.strata.columns), estimator="test")
    assert len(made.counts) == 15 * len(list(itertools.product(*made.levels.values()))) == 1440
