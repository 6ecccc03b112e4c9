from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the fingerprints of private tables away from the user's own key."""
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
