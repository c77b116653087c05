"""Where lines go: files, lists, streams, several places, nowhere. And files that are whole or not there.

A line is bytes without its newline, as `phasewise.profiling.artefacts.lines.encode` returns it; the sink adds that.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO

from phasewise.profiling.errors import OutputError, cannot_write


class Sink(Protocol):
    """Takes lines until it is closed."""

    def write(self, line: bytes) -> None:
        """Take one line (no newline at its end)."""
        ...

    def close(self) -> None:
        """Bring every line to its place; closing twice does no harm."""
        ...


class NullSink:
    """Drops every line."""

    def write(self, line: bytes) -> None:
        """Drop the line."""

    def close(self) -> None:
        """Do nothing."""


class ListSink:
    """Keeps every line in ``lines``, in order."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.write = self.lines.append

    def close(self) -> None:
        """Do nothing: the lines stay."""


class TeeSink:
    """Hands every line to several sinks, in order."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def write(self, line: bytes) -> None:
        """Hand on the line."""
        for sink in self._sinks:
            sink.write(line)

    def close(self) -> None:
        """Close every sink, even where closing one of them fails; the first failure is raised."""
        failure: OutputError | None = None
        for sink in self._sinks:
            try:
                sink.close()
            except OutputError as error:
                failure = failure or error
        if failure is not None:
            raise failure


class Courtesy:
    """A text stream for what is shown to people: it passes on what it can and is silent from the first failure on.

    A reader that went away, a full disk behind standard error, a closed stream: none of them is a reason to lose a run.

    Parameters
    ----------
    stream
        Where to write; None, which is what Python has for a stream that was closed at the start, shows nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text if it can be shown; return its length."""
        if not isinstance(text, str):
            raise TypeError(f"a text stream takes text, not {type(text).__name__}")
        self._attempt(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream if it can be."""
        self._attempt(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Return whether somebody watches at a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    @property
    def encoding(self) -> str:
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:
        """What becomes of characters that the encoding does not have."""
        return getattr(self._stream, "errors", None) or "backslashreplace"

    def fileno(self) -> int:
        """Return the descriptor of the stream; raises `OSError` where it has none."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def _attempt(self, show: Callable[[TextIO], object]) -> None:
        if self._stream is None:
            return
        try:
            show(self._stream)
        except BlockingIOError:  # its reader is slow: this piece is lost, the next one may be shown
            pass
        except (OSError, ValueError):  # Python says ValueError of a closed stream
            self._stream = None


class StreamSink:
    """Shows lines on a text stream, such as ``sys.stderr``, that stays open; silent once it takes no more.

    Parameters
    ----------
    stream
        Where to write.
    kinds
        The kinds of lines to let through, such as ``("PROFILE",)``; all where None.
    """

    def __init__(self, stream: TextIO | Courtesy, kinds: Collection[str] | None = None) -> None:
        self._stream = stream if isinstance(stream, Courtesy) else Courtesy(stream)
        self._prefixes = None if kinds is None else tuple(f"{kind} ".encode() for kind in kinds)

    def write(self, line: bytes) -> None:
        """Show the line if its kind is wanted."""
        if self._prefixes is None or line.startswith(self._prefixes):
            self._stream.write(line.decode() + "\n")

    def close(self) -> None:
        """Flush the stream."""
        self._stream.flush()


class Tail(NamedTuple):
    """How much of a file of lines was written behind its first line, and the CRC-32 of that."""

    size: int = 0
    crc: int = 0


class FileSink:
    """Writes lines to a file, many at once, so that the file always ends with a whole line.

    Only a process killed in the middle of a write can leave a torn last line, which `lines.read_lines` ignores. Where
    the disk is full, the part of a line that still went in is cut off again.

    Parameters
    ----------
    path
        The file; what it held before is lost, unless it is gone on with.
    flush_bytes
        Lines are kept until they make up this many bytes.
    behind
        What the file holds behind its first line, where it is to be gone on with
        (`phasewise.profiling.artefacts.rewinding.rewind_lines`); None begins it anew.

    Attributes
    ----------
    tail
        What is in the file behind its first line.

    Raises
    ------
    OutputError
        Here and in every method, where the file cannot be written.
    """

    def __init__(self, path: Path | str, flush_bytes: int = 1 << 16, behind: Tail | None = None) -> None:
        self.path = Path(path)
        self.tail = Tail() if behind is None else behind
        self._flush_bytes = flush_bytes
        self._waiting: list[bytes] = []
        self._size = 0
        try:
            self._file = self.path.open("wb" if behind is None else "ab", buffering=0)
            self._end = self._file.seek(0, os.SEEK_END)  # bytes in the file, always the end of a line
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def write(self, line: bytes) -> None:
        """Take one line; write to the file when enough have gathered."""
        self._waiting.append(line)
        self._size += len(line) + 1
        if self._size >= self._flush_bytes:
            self.flush()

    def flush(self) -> None:
        """Write every line taken so far."""
        if not self._waiting:
            return
        self._waiting.append(b"")  # so that the last line, too, gets its newline
        block = b"\n".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        try:
            write_all(self._file.fileno(), block)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._end)
            raise cannot_write(self.path, error) from error
        behind = block if self._end else block[block.index(b"\n") + 1 :]
        self.tail = Tail(self.tail.size + len(behind), zlib.crc32(behind, self.tail.crc))
        self._end += len(block)

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._file.closed:
            return
        try:
            self.flush()
        finally:
            self._file.close()


class Folder:
    """A folder that files go to for some time, and whether that place still is the folder it was.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    OutputError
        Where there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._was = path.stat()
        except OSError as error:
            raise cannot_write(path, error) from error

    @property
    def stands(self) -> bool:
        """Whether the folder is where it was."""
        try:
            return os.path.samestat(self._was, self.path.stat())
        except OSError:
            return False

    def require(self) -> None:
        """Raise `OutputError` where the folder is gone, or another one is in its place."""
        if self.stands:
            return
        found = "replaced by another one" if self.path.exists() else "removed"
        raise OutputError(f"the folder {self.path} was {found} while it was written to; what it held went with it")


def write_all(descriptor: int, block: bytes) -> None:
    """Write the whole block to an open file; raises `OSError` where the system refuses a part of it."""
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def beside(path: Path) -> Path:
    """Return the name under which a file is written before it is renamed to ``path``: same folder, hidden."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_atomically(path: Path | str, content: bytes) -> None:
    """Write a file that is either whole or, where anything goes wrong, as it was before.

    Raises
    ------
    OutputError
        Where the file cannot be written; nothing is left behind.
    """
    final = Path(path)
    temporary = beside(final)
    try:
        temporary.write_bytes(content)
        temporary.replace(final)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(final, error) from error
