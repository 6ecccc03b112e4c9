"""Digests: equal content, equal digest, in any process."""

import os
import subprocess
import sys

import numpy as np
import pytest

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.synthetic import LIBRARY
from hiddenpop.validation.content import content_digest
from hiddenpop.validation.seeds import fit_rng, root_words, table_rng


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (True, 1),
        ("1", 1),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.array([1.0, 2.0]), np.array([[1.0, 2.0]])),
        (hp.LogLinear(), hp.LogLinear(level=0.9)),
        (LIBRARY["independent-three"], LIBRARY["independent-three"].resized(2999)),
        (hp.Chapman(), hp.LincolnPetersen()),
    ],
)
def test_other_content_has_another_digest(one: object, other: object) -> None:
    assert content_digest(one) != content_digest(other)
    assert content_digest(one) == content_digest(one)


def test_a_digest_does_not_hang_on_the_order_that_a_process_gives_to_sets() -> None:
    code = (
        "from hiddenpop.validation.content import content_digest; from hiddenpop.synthetic import LIBRARY;"
        "print(content_digest(list(LIBRARY.values())))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_what_cannot_be_written_down_is_refused() -> None:
    with pytest.raises(SettingError, match=r"builtins\.object cannot be written down"):
        content_digest({"a": object()})


def test_each_table_and_each_fit_has_its_own_numbers() -> None:
    root = root_words(1)
    generators = [table_rng(root, "a", 0), table_rng(root, "a", 1), table_rng(root, "b", 0)]
    generators += [fit_rng(root, "a", 0, "x"), fit_rng(root, "a", 0, "y"), table_rng(root_words(2), "a", 0)]
    assert len({generator.random() for generator in generators}) == len(generators)


@pytest.mark.parametrize("rng", [-1, "seed"])
def test_what_is_no_seed_is_refused(rng: object) -> None:
    with pytest.raises(SettingError, match="is not a seed"):
        root_words(rng)
