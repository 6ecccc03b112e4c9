import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiddenpop.errors import ModelError, TableSizeError
from hiddenpop.model import HierarchicalModel, enumerate_models, model_space_size, notations, term_label

NAMES = (
    "police",
    "shelter",
    "coordinator",
    "NGO",
    "labour inspectorate",
    "border",
    "c1",
    "c10",
    "health",
    "church",
    "x",
    "y",
)
quick = settings(max_examples=150, deadline=None, derandomize=True)


@st.composite
def models(draw, most_lists=12):
    n_lists = draw(st.integers(1, most_lists))
    masks = draw(st.lists(st.integers(1, (1 << n_lists) - 1), max_size=8))
    return HierarchicalModel(n_lists, (*masks, *(1 << i for i in range(n_lists))))


# Notation


@quick
@given(models())
def test_the_bracket_notation_is_read_back(model):
    assert HierarchicalModel.parse(str(model), n_lists=model.n_lists) == model
    assert HierarchicalModel.parse(str(model), lists=NAMES[: model.n_lists]) == model


@quick
@given(models(), st.permutations(NAMES))
def test_the_formula_is_read_back(model, names):
    names = names[: model.n_lists]
    assert HierarchicalModel.parse(model.to_formula(names), lists=names) == model


@quick
@given(models(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_generators_and_positions_mean_nothing(model, random):
    masks = [*model.generators, *model.terms[1:]]
    random.shuffle(masks)
    assert HierarchicalModel(model.n_lists, tuple(masks)) == model
    separator = "" if model.n_lists < 10 else "."
    tokens = []
    for mask in masks:
        positions = [str(i + 1) for i in range(model.n_lists) if mask >> i & 1]
        random.shuffle(positions)
        tokens.append(separator.join(positions))
    assert HierarchicalModel.parse("[" + " , ".join(tokens) + "]", n_lists=model.n_lists) == model


@quick
@given(models())
def test_the_terms_are_exactly_the_subsets_of_the_generators(model):
    inside = [t for t in range(1 << model.n_lists) if t == 0 or any(t & g == t for g in model.generators)]
    assert sorted(model.terms) == inside
    assert model.terms[0] == 0
    assert [t.bit_count() for t in model.terms] == sorted(t.bit_count() for t in model.terms)
    assert model.n_parameters == len(inside)
    assert model.order == max(t.bit_count() for t in inside)
    assert model.term_set == sum(2**t for t in inside)
    assert HierarchicalModel.from_term_set(model.term_set, model.n_lists) == model


@quick
@given(models())
def test_no_generator_lies_inside_another_and_the_largest_come_first(model):
    assert not any(a & b == a for a in model.generators for b in model.generators if a != b)
    assert [-g.bit_count() for g in model.generators] == sorted(-g.bit_count() for g in model.generators)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[AB,C]", "[12,3]"),
        ("[BA,C]", "[12,3]"),
        ("[A*B,C]", "[12,3]"),
        ("[A:B,C]", "[12,3]"),
        ("[A.B,C]", "[12,3]"),
        ("[A,BC,A]", "[23,1]"),
        ("A*B + C", "[12,3]"),
        ("C+B*A", "[12,3]"),
        ("A + B + C + A:B", "[12,3]"),
        ("A*B + A*C + B*C + A:B:C", "[123]"),
        ("independence", "[1,2,3]"),
        (" Independence ", "[1,2,3]"),
        ("all-pairs", "[12,13,23]"),
        ("all_pairs", "[12,13,23]"),
        ("All pairs", "[12,13,23]"),
        ("[1.2,3]", "[12,3]"),
        (" [ 12 , 3 ] ", "[12,3]"),
    ],
)
def test_every_way_to_write_a_model(text, expected):
    assert str(HierarchicalModel.parse(text, lists=["A", "B", "C"])) == expected


def test_a_list_may_bear_the_name_of_a_word():
    assert str(HierarchicalModel.parse("independence", lists=["independence"])) == "[1]"
    assert str(HierarchicalModel.parse("independence*b", lists=["independence", "b"])) == "[12]"


def test_ten_and_more_lists_are_read_with_points_only():
    assert str(HierarchicalModel.parse("[1.2,10,3,4,5,6,7,8,9]", n_lists=10)) == "[1.2,3,4,5,6,7,8,9,10]"
    assert HierarchicalModel.parse(
        "[12,1,2,3,4,5,6,7,8,9,10,11]", n_lists=12
    ) == HierarchicalModel.independence(12)
    assert str(HierarchicalModel.independence(9)) == "[1,2,3,4,5,6,7,8,9]"


def test_sixty_three_lists_are_possible():
    model = HierarchicalModel(63, ((1 << 62) | 1, *(1 << i for i in range(1, 62))))
    assert HierarchicalModel.parse(str(model), n_lists=63) == model
    assert model.n_parameters == 65


def test_runs_of_names_are_cut_where_there_is_one_way_only():
    assert str(HierarchicalModel.parse("[c1c10]", lists=["c1", "c10"])) == "[12]"
    assert str(HierarchicalModel.parse("[aab,c]", lists=["a", "ab", "c"])) == "[12,3]"


def test_small_named_models():
    assert HierarchicalModel.all_pairs(1) == HierarchicalModel.independence(1)
    assert str(HierarchicalModel.all_pairs(4)) == "[12,13,14,23,24,34]"
    assert HierarchicalModel.parse("[123]", n_lists=3).is_saturated
    assert not HierarchicalModel.all_pairs(3).is_saturated
    assert term_label(0b101, 3) == "13"


def test_restricting_a_model_keeps_the_terms_among_the_lists_kept():
    model = HierarchicalModel.parse("[123,34]", n_lists=4)
    assert str(model.restrict([0, 1, 3])) == "[12,3]"
    assert str(model.restrict([3, 2])) == "[12]"
    assert model.restrict(range(4)) == model


# What is refused, and in which words

ABC = ["A", "B", "C"]


@pytest.mark.parametrize(
    ("text", "settings_", "message"),
    [
        ("[12,3]", {}, "give the names of the lists, or their number"),
        ("[12]", {"n_lists": 3}, "leaves out list 3 of 3; every list needs its main effect"),
        ("[AB]", {"lists": ABC}, "leaves out C; every list needs its main effect"),
        ("A*B", {"lists": ABC}, "leaves out C; every list needs its main effect"),
        ("[1,5]", {"n_lists": 5}, "leaves out list 2, 3, 4 of 5"),
        ("[12,3", {"n_lists": 3}, r"'\[12,3' opens a bracket that it does not close; write it as '\[12,3\]'"),
        ("[12,,3]", {"n_lists": 3}, r"'\[12,,3\]' has an empty generator"),
        ("[]", {"n_lists": 3}, "has an empty generator"),
        ("[12,4]", {"n_lists": 3}, "no list 4 among 3; positions run from 1 to 3"),
        ("[10,2,3]", {"n_lists": 3}, "no list 0 among 3"),
        ("[1..2,3]", {"n_lists": 3}, "no list 0 among 3"),
        (
            "[123,4]",
            {"n_lists": 12},
            r"no list 123 among 12; separate positions by points, as in '\[1.2,10\]'",
        ),
        ("[AA*B,C]", {"lists": ABC}, r"there is no list 'AA'; the lists are A, B, C"),
        ("[A*D,B,C]", {"lists": ABC}, "there is no list 'D'; the lists are A, B, C"),
        ("[AD,B,C]", {"lists": ABC}, "'AD' is not made of the lists A, B, C; separate names by"),
        ("[AB,C]", {"n_lists": 3}, r"'AB' is not made of the lists \(none\)"),
        ("[A*B]", {"n_lists": 2}, r"there is no list 'A'; the lists are \(no names given\)"),
        ("[aab]", {"lists": ["a", "aa", "b", "ab"]}, "'aab' can be read in more than one way"),
        ("[11,2]", {"n_lists": 2}, "names list 1 twice in one generator; once is enough"),
        ("[A*B*A]", {"lists": ["A", "B"]}, "names list 1 twice"),
        ("A + B*B", {"lists": ["A", "B"]}, "names list 2 twice"),
        ("A + + B", {"lists": ["A", "B"]}, "has an empty term; write it as 'police"),
        ("", {"n_lists": 2}, "has an empty term"),
        ("A + D", {"lists": ABC}, "there is no list 'D'; the lists are A, B, C"),
        ("12,3", {"n_lists": 3}, r"there is no list '12,3'; the lists are \(no names given\)"),
        ("A:B + C", {"lists": ABC}, r"'A:B \+ C' is not hierarchical: '[AB]' is missing; write 'a\*b'"),
        ("A:B:C + A*B + C", {"lists": ABC}, r"is not hierarchical: '[AB]\*C' is missing"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(text, settings_, message):
    with pytest.raises(ModelError, match=message):
        HierarchicalModel.parse(text, **settings_)


@pytest.mark.parametrize("term", [0, -1, 8, 1 << 40])
def test_a_generator_that_is_no_set_of_the_lists_is_refused(term):
    with pytest.raises(ModelError, match=f"generator {term} is not a set of 3 lists; use masks 1 to 7"):
        HierarchicalModel(3, (7, term))


def test_a_formula_needs_a_name_for_every_list():
    with pytest.raises(ModelError, match="has 3 lists and 2 names were given"):
        HierarchicalModel.independence(3).to_formula(["A", "B"])


def test_errors_about_models_are_value_errors():
    with pytest.raises(ValueError, match="leaves out list 2"):
        HierarchicalModel(2, (1,))


# Enumeration


@pytest.mark.parametrize(("n_lists", "count"), [(1, 1), (2, 1), (3, 8), (4, 113), (5, 6893)])
def test_every_model_comes_once_is_hierarchical_and_holds_all_main_effects(n_lists, count):
    term_sets = np.concatenate(list(enumerate_models(n_lists))).tolist()
    assert len(term_sets) == len(set(term_sets)) == count == model_space_size(n_lists)
    main_effects = sum(1 << (1 << i) for i in range(n_lists)) | 1
    for term_set in term_sets:
        assert term_set & main_effects == main_effects
        for term in range(1, 1 << n_lists):
            if term_set >> term & 1:
                below = (term & ~(1 << i) for i in range(n_lists) if term >> i & 1)
                assert all(term_set >> sub & 1 for sub in below)


def antichains(terms):
    """Every choice of terms none of which lies in another, by trying each."""
    if not terms:
        yield ()
        return
    first, *rest = terms
    yield from antichains(rest)
    yield from ((first, *others) for others in antichains([t for t in rest if t & first not in (t, first)]))


@pytest.mark.parametrize("n_lists", [2, 3, 4])
def test_the_enumeration_is_the_brute_force_over_all_antichains(n_lists):
    everything = (1 << n_lists) - 1
    covering = {
        HierarchicalModel(n_lists, choice)
        for choice in antichains(list(range(1, everything + 1)))
        if math.prod(any(g >> i & 1 for g in choice) for i in range(n_lists))
    }
    found = {
        HierarchicalModel.from_term_set(s, n_lists)
        for block in enumerate_models(n_lists)
        for s in block.tolist()
    }
    assert found == {model for model in covering if not model.is_saturated}


@pytest.mark.parametrize("n_lists", [3, 4, 5, 6])
def test_order_two_is_every_graph(n_lists):
    pairs = [1 << i | 1 << j for i, j in combinations(range(n_lists), 2)]
    blocks = np.concatenate(list(enumerate_models(n_lists, max_order=2)))
    base = 1 | sum(1 << (1 << i) for i in range(n_lists))
    graphs = np.array(
        [base | sum(1 << t for k, t in enumerate(pairs) if g >> k & 1) for g in range(1 << len(pairs))],
        dtype=np.uint64,
    )
    assert np.array_equal(np.sort(blocks), np.sort(graphs))
    assert len(graphs) == model_space_size(n_lists, max_order=2)


def test_a_smaller_order_is_the_part_of_the_space_up_to_that_order():
    whole = np.concatenate(list(enumerate_models(5))).tolist()
    third = np.concatenate(list(enumerate_models(5, max_order=3))).tolist()
    assert sorted(third) == sorted(s for s in whole if HierarchicalModel.from_term_set(s, 5).order <= 3)
    assert len(third) == model_space_size(5, max_order=3)


@pytest.mark.parametrize(
    ("max_order", "count"), [(None, 7_785_061), (2, 32_768), (3, 3_702_013), (4, 7_741_776)]
)
def test_six_lists_stream_by_in_blocks(max_order, count):
    sizes = [len(block) for block in enumerate_models(6, max_order=max_order, block_size=1 << 18)]
    assert sum(sizes) == count == model_space_size(6, max_order=max_order)
    assert max(sizes) <= 1 << 18


def test_the_size_of_a_block_changes_nothing_but_the_blocks():
    whole = np.concatenate(list(enumerate_models(5)))
    blocks = list(enumerate_models(5, block_size=100))
    assert max(len(block) for block in blocks) <= 100
    assert np.array_equal(np.sort(np.concatenate(blocks)), np.sort(whole))


def test_the_spaces_too_large_to_enumerate_are_counted_or_unknown():
    assert (
        model_space_size(7) == 2_414_627_396_433
    )  # one less than OEIS A006126, which counts the saturated model
    assert model_space_size(7, max_order=2) == 2**21
    assert model_space_size(12, max_order=1) == 1
    assert model_space_size(9) is None
    assert model_space_size(7, max_order=3) is None


@pytest.mark.parametrize("n_lists", [0, 7])
def test_no_more_than_six_lists_are_enumerated(n_lists):
    with pytest.raises(TableSizeError, match=f"enough for 6 lists; got {n_lists}"):
        next(enumerate_models(n_lists))


@pytest.mark.parametrize("n_lists", [1, 2, 3, 4, 5])
def test_notations_are_the_words_of_the_models(n_lists):
    term_sets = np.concatenate(list(enumerate_models(n_lists)))
    assert notations(term_sets, n_lists) == [
        str(HierarchicalModel.from_term_set(s, n_lists)) for s in term_sets.tolist()
    ]


def test_notations_of_six_lists_of_any_order():
    blocks = list(enumerate_models(6, block_size=1 << 18))
    some = np.concatenate([block[:: len(block) // 40 + 1] for block in blocks[::4]])
    assert notations(some, 6) == [str(HierarchicalModel.from_term_set(s, 6)) for s in some.tolist()]
    saturated = np.array([(1 << 64) - 1], dtype=np.uint64)
    assert notations(saturated, 6) == ["[123456]"]
