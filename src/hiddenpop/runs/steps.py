"""Steps of a run: a seed for each, and what is done kept until the run is over."""

import hashlib
import hmac
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiddenpop._files import passing_name
from hiddenpop.disclosure import secret_key
from hiddenpop.errors import HiddenpopError, SettingError

__all__ = ["BLOCKS", "STEPS", "Steps", "seed_of_step"]

STEPS, BLOCKS = "steps", "blocks"
"""Folders of what is done."""

SEED_BYTES = 6
"""48 bits: apart for every step, and whole in the numbers of JSON."""

SIGNATURE = hashlib.sha256().digest_size


def seed_of_step(seed: int, kind: str, label: str) -> int:
    """Give a step a seed that depends on the seed of the plan and its own label, and on no other step.

    Examples
    --------
    >>> seed_of_step(1, "estimate", "BIC") == seed_of_step(1, "estimate", "AIC")
    False
    """
    content = json.dumps([seed, kind, label]).encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:SEED_BYTES], "big")


@dataclass(frozen=True, slots=True)
class Steps:
    """Where finished steps are kept.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    run : str
        What they belong to: a step of another run is not used.

    Notes
    -----
    Steps hold figures that nothing has been withheld from, readable by their owner. They are signed with the user's own
    key (`hiddenpop.disclosure.secret_key`), since reading one could run what is written in it: a folder from somebody
    else is never trusted. Without a key nothing is kept, and an interrupted run does its steps again.
    """

    folder: Path | None
    run: str

    def done(self, kind: str, label: str, make: Callable[[], Any]) -> Any:
        """Give the result of a step, made only where it is not kept; the same bytes either way.

        Raises
        ------
        HiddenpopError
            Whatever the step raises, with its name in front.
        """
        path = self._path(kind, label)
        payload = None if path is None else _read(path)
        if payload is None:
            made = _named(kind, label, make)
            payload = _packed(made)
            if payload is None:
                return made
            if path is not None:
                _write(path, payload)
        return pickle.loads(payload)

    def _path(self, kind: str, label: str) -> Path | None:
        if self.folder is None or _key() is None:
            return None
        name = hashlib.sha256(json.dumps([self.run, kind, label]).encode()).hexdigest()
        return self.folder / f"{name}.step"


def _named(kind: str, label: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except HiddenpopError as error:
        raise type(error)(f"the {kind} {label!r} could not be made: {error}") from error


def _packed(made: Any) -> bytes | None:
    """Pickle a result; None where an estimator of one's own made one that cannot be, and that is done again."""
    try:
        return pickle.dumps(made, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _key() -> bytes | None:
    try:
        return secret_key()
    except HiddenpopError:
        return None


def _signature(path: Path, payload: bytes) -> bytes | None:
    key = _key()
    return None if key is None else hmac.new(key, path.name.encode() + payload, "sha256").digest()


def _read(path: Path) -> bytes | None:
    """Read a step; None where it is not there, not whole, or not of this user."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    signature, payload = content[:SIGNATURE], content[SIGNATURE:]
    own = _signature(path, payload)
    return payload if own is not None and hmac.compare_digest(signature, own) else None


def _write(path: Path, payload: bytes) -> None:
    signature = _signature(path, payload)
    if signature is None:
        return
    draft = passing_name(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_bytes(signature + payload)
        draft.replace(path)
    except OSError as error:
        raise SettingError(
            f"cannot write {path}: {error.strerror or error}; make room, or name another folder"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()
