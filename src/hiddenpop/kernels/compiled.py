"""How kernels are compiled and where that is kept: the one place that knows.

By itself numba looks at the date and size of one file, that of the function. It takes code from its cache into which an
older state of another module is compiled. Here what is kept goes by a digest of all source of the package behind a
function.
"""

import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, TypeVar, overload

import numba
import numpy as np
from numba.core.event import Event, Listener, register

from hiddenpop._screen import is_watched, write_note

try:
    from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache
except ImportError:  # a numba that is made otherwise: its own cache it is then
    FunctionCache = None

__all__ = ["cache_folder", "is_kept", "njit", "source_digest"]

VARIABLES = ("HIDDENPOP_CACHE_DIR", "NUMBA_CACHE_DIR")
PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).parents[2]
"""The folder in which the package lies."""

KEPT = 4
"""Digests of one module that are kept, those used last: of other versions and other environments."""

DIGITS = 16
"""Of a digest in the name of a folder."""

LONGEST_WAIT = 10.0
"""Seconds for another process that writes, after which compiled code is used and not kept."""

NOTE = "compiling, once, about 10 s; `hiddenpop warm` does it beforehand"

WITHOUT_C = {"no_cfunc_wrapper": True}
"""No function is called from C, and a wrapper for that takes a twentieth of the time to compile."""

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(%(name)s(?:\.\w+)*)[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)|import[ \t]+(%(name)s(?:\.\w+)*)\b)"
    % {b"name": PACKAGE.encode()},
    re.MULTILINE,
)

_Function = TypeVar("_Function", bound=Callable[..., Any])


@overload
def njit(function: _Function, /) -> _Function: ...
@overload
def njit(
    *, keep: bool = True, behind: tuple[str, ...] = (), **options: Any
) -> Callable[[_Function], _Function]: ...
def njit(function: Any = None, /, *, keep: bool = True, behind: tuple[str, ...] = (), **options: Any) -> Any:
    """Compile a function at its first call, and keep it for other processes.

    Parameters
    ----------
    function : callable
    keep : bool
        False for what is only ever compiled into other functions: it is kept with them.
    behind : tuple of str
        Modules whose source is compiled into the function though its own module does not import them.
    **options
        As numba's: ``inline``, ``error_model``, ``nogil``.

    Returns
    -------
    callable
        With the types of the function itself.

    Notes
    -----
    Source is digested here, at import: an edit of a file in the life of a process does not change what it compiles.

    Examples
    --------
    >>> @njit(keep=False)
    ... def double(x: float) -> float:
    ...     return 2.0 * x
    >>> double(4.0)
    8.0
    """
    if function is None:
        return functools.partial(_compiled, keep=keep, behind=behind, options=options)
    return _compiled(function, keep=keep, behind=behind, options=options)


def _compiled(function: Any, *, keep: bool, behind: tuple[str, ...], options: dict[str, Any]) -> Any:
    dispatcher = numba.njit(**WITHOUT_C, **options)(function)
    modules = (function.__module__, *behind)
    try:
        digest = source_digest(*modules)
    except (OSError, LookupError):
        return dispatcher  # nobody could tell later whether the source is still the same
    if keep and not isinstance(dispatcher, FunctionType):  # numba may have been told to compile nothing
        _keep(dispatcher, function, "+".join(modules), digest)
    return dispatcher


def cache_folder() -> Path:
    """Name the folder of compiled code: ``HIDDENPOP_CACHE_DIR``, ``NUMBA_CACHE_DIR``, else the user's cache folder.

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    for variable in VARIABLES:
        if given := os.environ.get(variable):
            return Path(given).absolute()
    return _user_cache() / PACKAGE


def _user_cache() -> Path:
    try:
        home = Path.home()
    except RuntimeError:  # of a user whom the system does not know
        home = Path("~")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    # The standard says that a relative path is to be passed over.
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else home / ".cache"


def is_kept() -> bool:
    """Tell whether what is compiled can be written into the folder."""
    return _can_be_written(cache_folder())


def _can_be_written(folder: Path) -> bool:
    if not folder.is_absolute():
        return False
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


# --- what is behind a function ---


class _Source(NamedTuple):
    digest: bytes
    imports: frozenset[Path]


@functools.cache
def source_digest(*modules: str) -> str:
    """Digest the source of modules and of everything of the package that they import, one through another.

    Compiled code also depends on the versions of numba and numpy.

    Raises
    ------
    OSError, LookupError
        If the source of a module is not a file that can be read.

    Examples
    --------
    >>> len(source_digest("hiddenpop.kernels.compiled"))
    64
    """
    behind: dict[Path, bytes] = {}
    waiting = [_module_file(module) for module in modules]
    while waiting:
        path = waiting.pop()
        if path not in behind:
            source = _source(path)
            behind[path] = source.digest
            waiting.extend(source.imports)
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for name, part in sorted((path.name, part) for path, part in behind.items()):
        digest.update(name.encode() + part)
    return digest.hexdigest()


def _module_file(module: str) -> Path:
    """Find the source of a module; one that is not of the package must have been imported."""
    file = _package_file(module) or getattr(sys.modules[module], "__file__", None)
    if file is None:
        raise LookupError(f"{module} has no file")
    return Path(file)


def _package_file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def _source(path: Path) -> _Source:
    content = path.read_bytes()
    return _Source(hashlib.sha256(content).digest(), frozenset(imported_files(content)))


def imported_files(source: bytes) -> Iterator[Path]:
    """Find the files of the package that a source imports, at its top or inside a function.

    By its lines, as a syntax tree of every file would take longer than the rest of a short command.
    """
    for start, names, whole in _IMPORT.findall(source):
        module = (start or whole).decode()
        file = _package_file(module)
        if file is None:
            continue
        yield file
        if file.name == "__init__.py":
            parts = (_package_file(f"{module}.{name}") for name in re.findall(r"\w+", names.decode()))
            yield from (part for part in parts if part)


# --- what is kept ---


def _keep(dispatcher: Any, function: Callable[..., Any], name: str, digest: str) -> None:
    """Give a function its place in the cache; where numba is made otherwise, the place that numba has for it."""
    if FunctionCache is not None and hasattr(dispatcher, "_cache"):
        dispatcher._cache = _Kept(function, name, digest)
    else:
        with suppress(RuntimeError):  # no folder that it could write to
            dispatcher.enable_caching()


class _Kept:
    """What numba asks for the compiled code of one function: in files of ours, and never the end of a computation.

    Parameters
    ----------
    function : callable
    name : str
        Of the modules behind it.
    digest : str
        Of their source.
    """

    def __init__(self, function: Callable[..., Any], name: str, digest: str) -> None:
        self._function, self._name, self._digest = function, name, digest

    @functools.cached_property
    def _files(self) -> Any:
        folder = _folder(cache_folder(), self._name, self._digest)
        if folder is None:
            return NullCache()
        with suppress(AttributeError, TypeError):  # of a numba that is made otherwise
            return _Files(self._function, _Place(folder, self._digest))
        with suppress(RuntimeError):  # of one that finds no folder
            return FunctionCache(self._function)
        return NullCache()

    @property
    def cache_path(self) -> str | None:
        """The folder, None where nothing can be kept."""
        path: str | None = self._files.cache_path
        return path

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Take a compiled function from the files; None where it has to be compiled."""
        try:
            return self._files.load_overload(signature, target_context)
        except Exception:  # whatever unpickling half a file raises
            self.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Add a compiled function to the files, one process at a time: two would take the same name for theirs."""
        if self.cache_path is None:
            return
        from filelock import FileLock

        with suppress(OSError, NotImplementedError), FileLock(Path(self.cache_path, "lock"), LONGEST_WAIT):
            self._files.save_overload(signature, data)

    def flush(self) -> None:
        """Forget what is in the files."""
        with suppress(OSError):
            self._files.flush()

    def enable(self) -> None:
        """Keep again."""
        self._files.enable()

    def disable(self) -> None:
        """Keep nothing."""
        self._files.disable()


@functools.cache
def _folder(place: Path, name: str, digest: str) -> Path | None:
    """Make the folder of one module at one state of its source, and take old ones away; None where it cannot be."""
    folder = place / f"{name}-{digest[:DIGITS]}"
    is_new = not folder.exists()
    if not _can_be_written(folder):
        return None
    with suppress(OSError):
        os.utime(folder)  # the date of its last use
        if is_new:
            _take_away_old(place, name)
    return folder


def _take_away_old(place: Path, name: str) -> None:
    states = [folder for folder in place.iterdir() if folder.name.rpartition("-")[0] == name]
    states.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in states[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


class _Place:
    """Where numba looks for the files of a function, in the words of numba."""

    def __init__(self, folder: Path, digest: str) -> None:
        self._folder, self._digest = folder, digest

    def from_function(self, function: Callable[..., Any], file: str) -> "_Place":
        """Serve a function of that file."""
        self._py_file, self._line = file, function.__code__.co_firstlineno
        return self

    def get_cache_path(self) -> str:
        """Name the folder."""
        return str(self._folder)

    def ensure_cache_path(self) -> None:
        """Make the folder, which another process may have taken away as an old one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        """Say at which state of the source the files are right."""
        return self._digest

    def get_disambiguator(self) -> str:
        """Tell functions of one name apart."""
        return str(self._line)


if FunctionCache is not None:

    class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
        def __init__(self, place: _Place, function: Callable[..., Any]) -> None:
            self._locator_classes = [place]
            super().__init__(function)

    class _Files(FunctionCache):  # type: ignore[misc]
        """numba's cache of one function, in a place of ours."""

        def __init__(self, function: Callable[..., Any], place: _Place) -> None:
            self._impl_class = functools.partial(_Implementation, place)
            super().__init__(function)


# --- what is said ---


class _Teller(Listener):  # type: ignore[misc]
    """Says once that something of the package is being compiled, and not merely loaded."""

    def __init__(self) -> None:
        self.has_said = False

    def on_start(self, event: Event) -> None:
        """Say it, where somebody reads it."""
        module = event.data["dispatcher"].py_func.__module__ or ""
        if not self.has_said and module.startswith(f"{PACKAGE}.") and is_watched():
            self.has_said = True
            write_note(NOTE)

    def on_end(self, event: Event) -> None:
        """Say nothing."""


register("numba:compile", _Teller())
