"""The order of the tests: what comes last, when one of two processes has nothing left to do, should be short."""

from collections.abc import Iterable, Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_steps_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the signatures of finished steps away from the user's own key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIDDENPOP_STEPS_KEY_FILE", str(tmp_path_factory.mktemp("steps") / "key"))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the notebooks, by far the longest file, before the other folders, and after what compiles most loops."""
    items.sort(key=lambda item: _turn(item.nodeid.split("/")))


def _turn(parts: Iterable[str]) -> int:
    first, *rest = parts
    if first != "tests" or len(rest) == 1:
        return 0
    return 1 if rest[0] == "notebooks" else 2
