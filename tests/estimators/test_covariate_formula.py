import pytest

from hiddenpop.errors import ModelError, SettingError, UnknownNameError
from hiddenpop.estimators.covariate_formula import CovariateModel, joint_coding

LISTS = ("A", "B", "C")
COVARIATES = ("year", "odd name", "2020")


def parse(formula, lists=LISTS, covariates=COVARIATES):
    return CovariateModel.parse(formula, lists=lists, covariates=covariates)


def terms_by_name(model):
    return {frozenset(model.label(term).split("*")) for term in model.terms}


def sets(*labels):
    return {frozenset(label.split("*")) for label in labels}


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("A*B + C", ("A", "B", "C", "A*B")),
        ("C + B*A", ("A", "B", "C", "A*B")),
        ("A:B + A + B + C", ("A", "B", "C", "A*B")),
        ("A + B + C + year", ("A", "B", "C", "year")),
        ("A*year + B + C", ("A", "B", "C", "year", "A*year")),
        ("(A + B + C)**2", ("A", "B", "C", "A*B", "A*C", "B*C")),
        ("(A + B + C)^2", ("A", "B", "C", "A*B", "A*C", "B*C")),
        ("(A + B)*(B + C)", ("A", "B", "C", "A*B", "A*C", "B*C")),
        ("(A + B):year + A + B + C + year", ("A", "B", "C", "year", "A*year", "B*year")),
        ("A*B*year + C", ("A", "B", "C", "year", "A*B", "A*year", "B*year", "A*B*year")),
        ("A + B + C*`odd name`", ("A", "B", "C", "odd name", "C*odd name")),
        ("A + B + C*`2020`", ("A", "B", "C", "2020", "C*2020")),
        (" +A + B + C ", ("A", "B", "C")),
    ],
)
def test_a_formula_is_read_as_its_terms(formula, expected):
    assert terms_by_name(parse(formula)) == sets(*expected)


def test_the_words_and_the_point_stand_for_all_lists_and_covariates():
    small = {"lists": ("A", "B"), "covariates": ("year",)}
    everything = parse("A + B + year", **small)
    pairs = parse("(A + B + year)**2", **small)
    assert (
        parse("main-effects", **small) == parse("Main effects", **small) == parse(".", **small) == everything
    )
    assert parse("all-pairs", **small) == parse("all_pairs", **small) == parse(".**2", **small) == pairs
    assert terms_by_name(parse(". + A:B", **small)) == sets("A", "B", "year", "A*B")


def test_a_list_with_the_name_of_a_word_is_a_list():
    model = parse("`main-effects` + B", lists=("main-effects", "B"), covariates=())
    assert model.factors == ("main-effects", "B")
    with pytest.raises(ModelError, match="has the sign -"):
        parse("main-effects", lists=("main-effects", "B"), covariates=())


@pytest.mark.parametrize(
    ("formula", "coding"),
    [
        ("A*poly(year, 2) + B + C", (("year", "poly(2)"),)),
        ("A + B + C + poly(year, degree=3)", (("year", "poly(3)"),)),
        ("A + B + C + linear(`odd name`) + C(year)", (("odd name", "linear"), ("year", "dummies"))),
        ("A + B + C + linear(year) + linear(year):B", (("year", "linear"),)),
        ("A + B + C + year", ()),
    ],
)
def test_a_formula_may_say_how_a_covariate_is_coded(formula, coding):
    assert parse(formula).coding == coding


def test_covariates_that_a_formula_leaves_out_are_no_factors():
    assert parse("A + B*year + C").factors == ("A", "B", "C", "year")
    assert parse("A + B*year + C").covariates == ("year",)


def test_terms_come_by_size_and_then_by_the_place_of_their_factors():
    model = parse("C*year + A*B + A*year + B", covariates=("year",))
    assert [model.label(term) for term in model.terms] == ["A", "B", "C", "year", "A*B", "A*year", "C*year"]


@pytest.mark.parametrize(
    "formula", [".**2", "A*B*year + C*`odd name` + `2020`", "A*`2020`*`odd name` + B*C", "."]
)
def test_a_model_is_written_so_that_it_is_read_again(formula):
    model = parse(formula)
    again = parse(model.formula())
    assert (again.factors, again.terms) == (model.factors, model.terms)


def test_leaving_factors_out_of_a_model_leaves_the_terms_of_the_others():
    model = parse("A*B*year + C*`odd name`")
    assert model.onto(("A", "C", "odd name")).formula() == "A + C*`odd name`"
    assert model.onto(("A", "B", "C", "odd name")).formula() == "A*B + C*`odd name`"


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("A:B + A + C", r"has A:B without B; .* write A\*B"),
        ("A:B:C + A*B + C", r"has A:B:C without A:C, B:C; .* write A\*B\*C"),
        ("A + B + C + `odd name`:A", r"has A:`odd name` without `odd name`; .* write A\*`odd name`"),
        ("A*B", r"leaves out C; every list needs its main effect: add \+ C"),
        ("year", r"leaves out A, B, C"),
        ("A + B + C - 1", "the intercept and every main effect are always in a model"),
        ("0 + A + B + C", "the intercept and every main effect are always in a model"),
        ("A + B + C - A:B", "nothing is taken out"),
        ("A + B + C + 1", "has 1: the intercept is always in a model"),
        ("A + B + C + 2020*A", r"has 2020: write names without quotes, and one that is a number .*`2020`"),
        ("'A' + B + C", "has 'A': write names without quotes"),
        ("A*A + B + C", "an interaction of A with itself; name it once$"),
        ("A + B + C + year:year", r"an interaction of year with itself; .*poly\(year, 2\)"),
        ("A:B:A + A + B + C", "an interaction of A with itself"),
        ("count ~ A + B + C", "the counts of the table are the response"),
        ("A + B + C + log(year)", r"has log\(year\); of functions only poly\(year, 2\)"),
        ("A + B + C + poly(year)", r"has poly\(year\)"),
        ("A + B + C + poly(year, 0)", r"has poly\(year, 0\); of functions only"),
        ("A + B + C + linear(year, 2)", r"has linear\(year, 2\)"),
        ("A + B + C + A[0]", r"has A\[0\]; of functions only"),
        ("C(A) + B + C", "codes A, which is a list"),
        ("A + B + C + poly(year, 2) + A:year", r"has poly\(year, 2\) and year; write year in one way"),
        ("A + B + C + poly(year, 2) + poly(year, 3)", r"has poly\(year, 2\) and poly\(year, 3\)"),
        ("A/B + C", r"write a \+ a:b for a/b"),
        ("A | B | C", "a model has one part"),
        ("A %in% B + C", "write a:b for nested terms"),
        ("(A + B + C)**1.5", "a power that is not a whole number"),
        ("", "is empty; write it as"),
        ("``", "is empty; write it as"),
        ("A + B + C +", "cannot be read"),
        ("A B C", "cannot be read: Missing operator"),
        ("(A + B + C", "cannot be read"),
        ("A $ B + C", "cannot be read: Unknown operator"),
        ("[AB,C]", "is in brackets, which only LogLinear reads"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(formula, message):
    with pytest.raises(ModelError, match=message):
        parse(formula)


def test_a_name_that_is_not_there_is_refused_with_what_may_have_been_meant():
    with pytest.raises(UnknownNameError, match=r"no list or covariate 'yaer'.*did you mean 'year'"):
        parse("A + B + C + yaer")


def test_terms_without_their_parts_are_no_model():
    with pytest.raises(ModelError, match="has A:B without B"):
        CovariateModel(factors=("A", "B"), n_lists=2, terms=(1, 3))
    with pytest.raises(ModelError, match="leaves out B"):
        CovariateModel(factors=("A", "B"), n_lists=2, terms=(1,))
    with pytest.raises(ModelError, match="8 is not a set of 2 factors"):
        CovariateModel(factors=("A", "B"), n_lists=2, terms=(1, 2, 8))


def test_setting_and_formula_may_say_the_same_coding_and_not_two():
    model = parse("A + B + C + poly(year, 2)")
    assert joint_coding((("year", "poly(2)"),), model) == (("year", "poly(2)"),)
    with pytest.raises(SettingError, match=r"the model codes year as poly\(2\) and another place as linear"):
        joint_coding((("year", "linear"),), model)
