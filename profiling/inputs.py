"""Files that people hand in, read within bounds: plain or gzip, a file or a pipe, with or without a byte order mark.

Whatever keeps a file from being read is an `OSError` whose ``strerror`` is fit for a message.
"""

from __future__ import annotations

import errno
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from phasewise.profiling.names import nearest, quoted

MOST_BYTES: Final = 512 << 20  # unpacked: five million lines of a trace; more is a mistake, or not meant for this
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
GZIP_MAGIC: Final = b"\x1f\x8b"

MISSING: Final = "does not exist"

_BLOCK: Final = 1 << 20
_GZIP_WINDOW: Final = 31  # zlib's word for a gzip header
_PIPES: Final[dict[tuple[int, int], bytes]] = {}
"""What came out of pipes: they can be read once, and a run asks more than once."""


def input_fault(path: Path) -> str:
    """Return why ``path`` is nothing to read, to stand after its name; empty where it may be."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError:  # Python's word on a NUL in a name
        return "cannot be read: its name has a NUL byte"
    return "is a folder" if stat.S_ISDIR(mode) else ""


def file_meant(name_or_path: str | Path, names: Sequence[str], folder: Path, what: str) -> tuple[Path, str]:
    """Return the TOML file that a name, or a path, means, and why there is none; empty where there may be one.

    Parameters
    ----------
    names, folder
        Of what is built in, and where it lies.
    what
        What is looked for, as messages call it.
    """
    if str(name_or_path) in names:
        return folder / f"{name_or_path}.toml", ""
    path = Path(name_or_path)
    if path.suffix == ".toml" or not input_fault(path):
        return path, ""
    return path, (
        f"no {what} {quoted(str(name_or_path))}{nearest(str(name_or_path), names)}; "
        f"built in: {', '.join(names)}; or give the path of a TOML file"
    )


def read_input(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return what a file holds, unpacked where it is gzip, without a byte order mark.

    Parameters
    ----------
    path
        A file, or a pipe, which is remembered.
    most
        Bytes, unpacked.

    Raises
    ------
    OSError
        Where it cannot be read, holds more than ``most``, or is not a complete gzip file; ``strerror`` says which.
    """
    try:
        status = path.stat()
    except ValueError as error:
        raise OSError(errno.EINVAL, "its name has a NUL byte") from error
    place = (status.st_dev, status.st_ino)
    content = _PIPES.get(place) if stat.S_ISFIFO(status.st_mode) else None
    if content is None:
        with path.open("rb") as file:
            content = file.read(most + 1)
        if stat.S_ISFIFO(status.st_mode):
            _PIPES[place] = content
    if len(content) > most:
        raise _too_large(most)
    if content.startswith(GZIP_MAGIC):
        content = _unpacked(content, most)
    elif path.suffix == ".gz":
        raise OSError(errno.EIO, "it is not a complete gzip file, as its name says it is")
    return content.removeprefix(BYTE_ORDER_MARK)


def _unpacked(content: bytes, most: int) -> bytes:
    """Return what a gzip file holds, all of its members; stops as soon as that is too much."""
    pieces: list[bytes] = []
    size = 0
    try:
        while content:
            member = zlib.decompressobj(_GZIP_WINDOW)
            while not member.eof:
                piece = member.decompress(content, _BLOCK)
                content = member.unconsumed_tail
                if not piece and not content and not member.eof:
                    raise OSError(errno.EIO, "it is not a complete gzip file: its end is missing")
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise _too_large(most)
            content = member.unused_data.lstrip(b"\0")  # tapes of old pad with zeros
    except zlib.error as error:
        raise OSError(errno.EIO, f"it is not a complete gzip file: {error}") from error
    return b"".join(pieces)


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"it holds more than {most / (1 << 20):,.0f} MiB (unpacked, where it is packed)")
