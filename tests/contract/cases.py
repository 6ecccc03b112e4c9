"""What the contract suite runs over: every registered estimator with every choice it offers, on several tables."""

import dataclasses
import typing
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

from hiddenpop import CaptureTable, datasets
from hiddenpop.errors import HiddenpopWarning
from hiddenpop.estimators.registry import ESTIMATORS, estimator_class

SEED = 20260117
RESAMPLES = 200


# A choice that is refused, or slow, without another one.
COMPANIONS = {
    ("closed_population", "bias_corrected", True): {"interval": "lognormal"},
    ("selected", "search", "mc3"): {"n_steps": 500},
    ("selected", "count", "rank"): {"search": "exhaustive"},
}
# Compiles anew for every fit, minutes in all: tests/bayes compares it with the default.
ELSEWHERE = {("backend", "pymc")}
# Draws that follow the places of the lists: another order gives other draws of the same posterior.
SAMPLED = {"latent_class", "bayesian_loglinear", "bayesian_averaged", "thresholded", "pooled"}
# These take covariates as they are, so that persons split into strata are another table.
MODELS_STRATA = {"covariate_loglinear", "covariate_selected", "stratified", "pooled"}
# These model cells that have only an upper bound, which others refuse.
TAKES_BOUNDS = {"bayesian_loglinear"}
# Chains long enough to pass through every line, and too short to converge: the suite is about forms, not figures.
SHORT = {
    "latent_class": {"n_draws": 100, "n_tune": 100, "n_chains": 2, "n_temperatures": 4},
    "bayesian_loglinear": {"n_draws": 100, "n_tune": 100, "n_chains": 2},
    "thresholded": {"n_draws": 300, "n_tune": 200, "n_chains": 2},
    "pooled": {"n_draws": 100, "n_tune": 100, "n_chains": 2},
}
# These draw tables only where their interval needs them; what they draw has tests of its own.
DRAWS_AT_TIMES = {"sample_coverage"}
# Behavioural response takes the order of the lists as time: only these may change with it.
IN_TIME = {("model", "Mb"), ("model", "Mbh")}


def choices(kind):
    """Settings of an estimator that take one of several words, with the words."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return {
        name: typing.get_args(hint)
        for name, hint in fields.items()
        if typing.get_origin(hint) is typing.Literal
    }


def switches(kind):
    """Settings of an estimator that are on or off, with both."""
    return {name: (True, False) for name, hint in typing.get_type_hints(kind).items() if hint is bool}


def variants(name):
    """Default settings first, then one choice at a time."""
    kind = estimator_class(name)
    default = kind()
    others = [
        {setting: word, **COMPANIONS.get((name, setting, word), {})}
        for setting, words in {**choices(kind), **switches(kind)}.items()
        for word in words
        if word != getattr(default, setting) and (setting, word) not in ELSEWHERE
    ]
    return [{}, *others]


NAMES = tuple(ESTIMATORS)
VARIANTS = [(name, tuple(settings.items())) for name in NAMES for settings in variants(name)]


LONG = {("sampler", "nuts"), ("prior_family", "horseshoe"), ("strata", "model")}


def compiles_long(case):
    """Whether it compiles for seconds for each table of another shape, beside a default that the quick suite has."""
    return bool(LONG & set(case[1]))


def marked(cases):
    """Cases as parameters, those that compile long in the slow suite."""
    return [
        pytest.param(case, marks=pytest.mark.slow if compiles_long(case) else (), id=label(case))
        for case in cases
    ]


def label(case):
    name, settings = case
    return "-".join([name, *(f"{key}={value}" for key, value in settings)])


def takes_lists(case):
    """Whether an estimator needs to be told its pair of lists on a table of more than two."""
    name, settings = case
    if name == "identified":
        return ("assumption", "marginal") in settings
    return any(field.name == "lists" for field in dataclasses.fields(estimator_class(name)))


def pair_by_name(table):
    """The two lists with the largest overlap, ties by name: the same pair however the lists are ordered."""
    caught = sorted(set(table.lists) - set(table.empty_lists))
    caught = caught if len(caught) > 1 else sorted(table.lists)
    pairs = [(a, b) for i, a in enumerate(caught) for b in caught[i + 1 :]]
    return max(pairs, key=lambda pair: table.overlaps.loc[pair[0], pair[1]])


def draws_numbers(case):
    """Whether the interval comes from random draws, and so moves a little when the cells come in another order."""
    if case[0] in MODELS_STRATA | DRAWS_AT_TIMES and ("interval", "lognormal") in case[1]:
        return False
    return any(field.name == "n_boot" for field in dataclasses.fields(estimator_class(case[0])))


def make(case, table):
    """The estimator of a case, with the pair of lists it needs on a table of more than two, and few resamples."""
    name, settings = case
    kind = estimator_class(name)
    named = {"lists": pair_by_name(table)} if takes_lists(case) and table.n_lists > 2 else {}
    few = {"n_boot": RESAMPLES} if draws_numbers(case) else SHORT.get(name, {})
    return kind(**dict(settings), **named, **few)


def quietly(function, *args, **kwargs):
    """Call without the package's own warnings, for tests that are about something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return function(*args, **kwargs)


def cell_frame(counts, lists):
    """One row a history: 0/1 columns and a count; `counts` by history, element 0 the unobserved cell."""
    bits = {name: [history >> i & 1 for history in range(1, len(counts))] for i, name in enumerate(lists)}
    return pd.DataFrame(bits).assign(count=counts[1:])


def table_of(counts, lists, **labels):
    labels = {"public": True, "name": "made up", **labels}
    return quietly(CaptureTable.from_counts, cell_frame(counts, lists), lists=list(lists), **labels)


# Three lists that nobody is on all of, one pair nearly apart: the maximum of most models lies on a face.
SPARSE = (0, 41, 30, 6, 20, 1, 3, 0)
# Few persons on the first two lists together, but several times more than chance: small counts that a private
# table must not let out.
PRIVATE = (0, 300, 20, 8, 150, 2, 1, 1)


@cache
def tables():
    published = ("kosovo", "australia", "korea", "artificial_3")
    return {
        **{name: datasets.load(name) for name in published},
        "sparse": table_of(SPARSE, ("police", "shelter", "health"), name="sparse"),
    }


TABLES = ("kosovo", "australia", "korea", "artificial_3", "sparse")


@cache
def fitted(case, table_name):
    """Fit once a session; estimates are immutable, so tests may share them."""
    table = tables()[table_name]
    return make(case, table).fit(table, rng=SEED)


def split_into_strata(table, rng):
    """The same people, each in one of three regions."""
    frame = table.to_frame()
    shares = rng.dirichlet(np.ones(3), size=len(frame))
    parts = np.array(
        [rng.multinomial(count, share) for count, share in zip(frame["count"], shares, strict=True)]
    )
    pieces = [
        frame.assign(count=parts[:, k], region=region) for k, region in enumerate(("north", "south", "west"))
    ]
    together = pd.concat(pieces)
    return CaptureTable.from_counts(
        together[together["count"] > 0],
        lists=list(table.lists),
        strata=["region"],
        name=table.name,
        public=True,
    )
