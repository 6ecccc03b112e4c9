"""Secret keys, a file for each purpose: fingerprints, pseudonyms, the finished steps of a run.

The key of fingerprints is shared with those who should be able to compare. It must therefore not be the one that
names are hashed with, nor the one that says which finished steps are one's own: a file of one purpose is refused for
another.
"""

import errno
import hmac
import os
import secrets
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from hiddenpop.errors import TableError

__all__ = ["KEY_VARIABLE", "STEPS_VARIABLE", "create_key", "read_key", "secret_key", "steps_key"]

KEY_VARIABLE = "HIDDENPOP_KEY_FILE"
"""Names the file of the key of fingerprints."""
STEPS_VARIABLE = "HIDDENPOP_STEPS_KEY_FILE"
"""Names the file of the key of finished steps."""

KEY_BYTES = 32
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What a file system says that has no hard links."""

WAIT_SECONDS, PAUSE = 1.0, 0.02
"""How long another process may take to fill the key file that it has just made."""


def secret_key() -> bytes:
    """Read this user's secret key for the fingerprints of tables that are not public, or make one.

    Returns
    -------
    bytes
        The content of the file that the environment variable ``HIDDENPOP_KEY_FILE`` names, else of
        ``hiddenpop/key`` in the user's configuration folder. A missing file is created with 32 random bytes that
        only its owner can read.

    Raises
    ------
    TableError
        If the file can be neither read nor created, holds too few bytes to be a secret, or can be used by others.

    Notes
    -----
    An open hash of a small table can be guessed by hashing every candidate table. With a key it can only be compared
    by those who share the key; copy the file to a colleague to compare fingerprints. Nothing else is done with it.

    References
    ----------
    Krawczyk, H., Bellare, M. and Canetti, R. (1997). HMAC: Keyed-Hashing for Message Authentication. RFC 2104.
    doi:10.17487/RFC2104

    Examples
    --------
    >>> import os, tempfile
    >>> from unittest import mock
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with mock.patch.dict(os.environ, {"HIDDENPOP_KEY_FILE": os.path.join(folder, "key")}):
    ...         len(secret_key()), secret_key() == secret_key()
    (32, True)
    """
    return _read_or_make(_place(KEY_VARIABLE, "key"), "fingerprints", KEY_VARIABLE)


def steps_key() -> bytes:
    """Read this user's key of the finished steps of a run, or make one. It is shared with nobody.

    Returns
    -------
    bytes
        The content of the file that the environment variable ``HIDDENPOP_STEPS_KEY_FILE`` names, else of
        ``hiddenpop/steps.key`` in the user's configuration folder.

    Raises
    ------
    TableError
        As `secret_key` does, and if it is the key of fingerprints.

    Examples
    --------
    >>> import os, tempfile
    >>> from unittest import mock
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with mock.patch.dict(os.environ, {"HIDDENPOP_STEPS_KEY_FILE": os.path.join(folder, "steps")}):
    ...         len(steps_key())
    32
    """
    path = _place(STEPS_VARIABLE, "steps.key")
    key = _read_or_make(path, "steps of a run", STEPS_VARIABLE)
    _refuse_shared(path, key, f"set {STEPS_VARIABLE} to another file")
    return key


def create_key(path: str | os.PathLike[str]) -> Path:
    """Write a new secret key of 32 random bytes that only its owner can read.

    Raises
    ------
    TableError
        If the file is there already, or cannot be written.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(read_key(create_key(Path(folder) / "key")))
    32
    """
    place = Path(path)
    try:
        _create(place)
    except FileExistsError as error:
        raise TableError(
            f"there is a file {place} already; a key is never overwritten, name another"
        ) from error
    except OSError as error:
        raise TableError(f"cannot write the key file {place}: {error.strerror or error}") from error
    return place


def read_key(path: str | os.PathLike[str]) -> bytes:
    """Read the secret key of pseudonyms.

    Raises
    ------
    TableError
        If the file is not there, holds too few bytes to be a secret, can be used by others, or is the key of
        fingerprints, which is there to be shared.
    """
    place = Path(path)
    try:
        if not place.is_file():
            raise TableError(
                f"there is no key file {place} for pseudonyms; make one: hiddenpop.registers.create_key({str(place)!r})"
            )
        key = _content(place)
    except OSError as error:
        raise TableError(f"cannot read the key file {place}: {error.strerror or error}") from error
    if len(key) < KEY_BYTES:
        raise TableError(
            f"the key file {place} holds {len(key)} bytes, fewer than the {KEY_BYTES} of a secret; make a new one"
        )
    _refuse_shared(place, key, "make another: hiddenpop.registers.create_key(path)")
    return key


def _place(variable: str, name: str) -> Path:
    named = os.environ.get(variable)
    if named:
        return Path(named)
    configuration = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(configuration) / "hiddenpop" / name


def _read_or_make(path: Path, purpose: str, variable: str) -> bytes:
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):  # two processes that start together end with one key
                _create(path)
        key = _content(path)
    except OSError as error:
        raise TableError(
            f"the key file {path} for {purpose} cannot be read or created ({error.strerror}); "
            f"set {variable} to a file you can write"
        ) from error
    if len(key) < KEY_BYTES:
        raise TableError(
            f"the key file {path} holds {len(key)} bytes, fewer than the {KEY_BYTES} of a secret; "
            f"delete it to have a new one made, or set {variable} to another file"
        )
    return key


def _content(path: Path) -> bytes:
    """Read a key that is its owner's alone; one that another process has just begun is waited for."""
    mode = path.stat().st_mode
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TableError(f"the key file {path} can be used by others; run: chmod 600 {path}")
    end = time.monotonic() + WAIT_SECONDS
    while not (key := path.read_bytes()) and _is_new(path) and time.monotonic() < end:
        time.sleep(PAUSE)
    return key


def _is_new(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < WAIT_SECONDS


def _create(path: Path) -> None:
    """Create the key whole or not at all, and never over another file."""
    descriptor, draft = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".part"
    )  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _create_in_place(path)
    finally:
        Path(draft).unlink()


def _create_in_place(path: Path) -> None:
    """Create the key where there are no hard links: the name is taken first, and given back if writing fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    except BaseException:
        path.unlink()
        raise


def _refuse_shared(path: Path, key: bytes, advice: str) -> None:
    """Refuse the key of fingerprints for anything else: it is there to be shared."""
    shared = _place(KEY_VARIABLE, "key")
    try:
        same = hmac.compare_digest(shared.read_bytes(), key)
    except OSError:
        return
    if same:
        raise TableError(
            f"the key file {path} holds the key of fingerprints, which is shared with those who compare them; {advice}"
        )
