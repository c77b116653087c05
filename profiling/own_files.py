"""Classes out of Python files that people name as ``FILE.py:CLASS``, without a package around them.

A file is known by its content: its module bears a digest in its name, so that an edited file is another module, and
what was compiled or written down for the old one is not taken for the new one's. What such a file imports has to be
installed: the one file is then all that its digest has to cover.

A name may be pinned, ``FILE.py:CLASS#DIGEST``: then the file has to be what it was.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from phasewise.profiling.defects import is_somebodys, told
from phasewise.profiling.errors import OwnFileError
from phasewise.profiling.inputs import MISSING, input_fault, read_input
from phasewise.profiling.names import nearest, quoted

DIGITS: Final = 12  # of the digest in a name: two files of one study do not share them by accident
MOST_BYTES: Final = 4 << 20
ALLOWED: Final = "FILE.py:CLASS"

_FORM: Final = re.compile(r"(?P<file>.+\.py)(?::(?P<symbol>[^\W\d]\w*)(?:#(?P<digest>[0-9a-f]{12}))?)?", re.DOTALL)
_MARK: Final = "_file_"
_MODULES: Final[dict[str, str]] = {}
"""The name that each module was loaded by, pinned, by the module's own name."""


class _Named(NamedTuple):
    """A name taken apart; what it does not say is empty."""

    file: str
    symbol: str
    digest: str

    @property
    def path(self) -> Path:
        return Path(self.file).absolute()

    def text(self, *, digest: str = "", file: str = "") -> str:
        return f"{file or self.file}:{self.symbol}{f'#{digest}' if digest else ''}"


def is_named(name: str) -> bool:
    """Return whether a name is that of a file: ``FILE.py:CLASS``, or one of which the class was forgotten."""
    return _FORM.fullmatch(name) is not None


def pinned(name: str) -> str:
    """Return the name with the digest of what the file holds now.

    Raises
    ------
    OwnFileError
        Where the file cannot be read, is not the one that ``name`` pins, or ``name`` names no class.
    """
    parts = _parsed(name)
    return parts.text(digest=_content(parts)[1])


def unpinned(name: str) -> str:
    """Return a name without its digest, if it is one of a file that has one; any other as it is."""
    parts = _FORM.fullmatch(name)
    return name if parts is None or not parts["digest"] else f"{parts['file']}:{parts['symbol']}"


def symbol(name: str) -> str:
    """Return the class that a name of a file names."""
    return _parsed(name).symbol


def by_content(name: str) -> str:
    """Return what a pinned name has in common with those of copies of its file elsewhere; any other as it is."""
    parts = _FORM.fullmatch(name)
    if parts is None or not parts["digest"]:
        return name
    return _Named(**parts.groupdict("")).text(digest=parts["digest"], file=Path(parts["file"]).name)


def placed(name: str, folder: Path) -> str:
    """Return the name of a file as it is from here, where ``name`` is relative to ``folder``; any other as it is."""
    return str(folder / name) if is_named(name) else name


def load(name: str) -> type:
    """Return the class that ``name`` names; its file is executed where it was not, or is another one, by its content.

    Raises
    ------
    OwnFileError
        Where the file cannot be read, is not the one that ``name`` pins, raises, or has no such class.
    """
    parts = _parsed(name)
    module = sys.modules.get(_module_name(parts, parts.digest)) if parts.digest else None
    if module is None or module.__file__ != str(parts.path):
        content, digest = _content(parts)
        module = _executed(parts, content, digest)
    found = vars(module).get(parts.symbol)
    if isinstance(found, type):
        return found
    if found is not None:
        raise OwnFileError(f"{parts.symbol} of {parts.file} is no class, but a {type(found).__name__}")
    classes = [each for each, value in vars(module).items() if _is_its_class(value, module)]
    listed = f"it has: {', '.join(classes)}" if classes else "it has none"
    raise OwnFileError(f"{parts.file} has no class {quoted(parts.symbol)}; {listed}{nearest(parts.symbol, classes)}")


def is_own(module: str) -> bool:
    """Return whether a module, by its name, was loaded from a file that somebody named."""
    return module in _MODULES


def loaded() -> list[str]:
    """Return a pinned name for each file that was loaded, by which another process can load it."""
    return list(_MODULES.values())


def _parsed(name: str) -> _Named:
    parts = _FORM.fullmatch(name)
    if parts is None:
        raise OwnFileError(f"{quoted(name)} names no Python file; allowed: {ALLOWED}")
    if not parts["symbol"]:
        raise OwnFileError(f"{quoted(name)} names no class of that file; allowed: {ALLOWED}")
    return _Named(**parts.groupdict(""))


def _content(parts: _Named) -> tuple[bytes, str]:
    """Return what the file holds, and its digest."""
    from hashlib import sha256  # noqa: PLC0415  (loads OpenSSL, and most scenarios name no file)

    if fault := input_fault(parts.path):
        where = f" (looked for as {parts.path})" if fault == MISSING and str(parts.path) != parts.file else ""
        raise OwnFileError(f"{parts.file} {fault}{where}")
    try:
        content = read_input(parts.path, MOST_BYTES)
    except OSError as error:
        raise OwnFileError(f"{parts.file} cannot be read: {error.strerror}") from error
    digest = sha256(content).hexdigest()[:DIGITS]
    if parts.digest not in ("", digest):
        raise OwnFileError(
            f"{parts.file} is not what it was: its digest is {digest}, and {parts.digest} was asked for; "
            f"allowed: that content, or {parts.text()} for whatever the file holds"
        )
    return content, digest


def _module_name(parts: _Named, digest: str) -> str:
    stem = re.sub(r"\W", "_", parts.path.stem)
    return f"{stem}{_MARK}{digest}"


def _executed(parts: _Named, content: bytes, digest: str) -> ModuleType:
    """Return the module that the file's content makes."""
    name = _module_name(parts, digest)
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(parts.path):
        return known
    module = ModuleType(name)
    module.__file__ = str(parts.path)
    sys.modules[name] = module  # as dataclasses and pickle look for it
    _MODULES[name] = parts.text(digest=digest, file=str(parts.path))
    try:
        exec(compile(content, parts.path, "exec", dont_inherit=True), vars(module))
    except BaseException as error:  # somebody else's code, which may even ask for the end of the process
        if known is None:
            del sys.modules[name], _MODULES[name]
        else:
            sys.modules[name] = known
        if isinstance(error, KeyboardInterrupt):
            raise
        raise OwnFileError(f"{parts.file} cannot be loaded: {_why(error, parts)}") from error
    return module


def _why(error: BaseException, parts: _Named) -> str:
    """Return what was raised, and in which line of the file, or of what it calls."""
    reason = told(error, lambda module: module != __name__ and is_somebodys(module))
    if isinstance(error, ModuleNotFoundError) and error.name:
        beside = parts.path.parent / error.name.partition(".")[0]
        if beside.is_dir() or beside.with_suffix(".py").is_file():
            reason += f"; {beside.name} lies beside it, but what it imports has to be installed"
    return reason


def _is_its_class(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__
