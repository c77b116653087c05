"""A file of any size, read from front to end: its beginning for recognising it, its lines, its JSON values.

Memory does not grow with the file; how far it is read is known at any time, for a display.
"""

from __future__ import annotations

import gzip
import io
import json
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

from phasewise.profiling.inputs import BYTE_ORDER_MARK, GZIP_MAGIC, input_fault, read_input
from phasewise.sched.errors import TraceError
from phasewise.sched.reading.recognise import HEAD

_BLOCK: Final = 1 << 20
_LONGEST_LINE: Final = 16 << 20
_LONGEST_VALUE: Final = 64 << 20
_SLACK: Final = 64  # characters before the end of what is read in which a fault may be nothing but that end
CONVERTED: Final = b"PAR1"
"""How a file begins that was converted before: Parquet."""


@dataclass(frozen=True)
class Head:
    """How a file begins.

    Attributes
    ----------
    name
        Its name, without folders.
    content
        Its first bytes, unpacked.
    """

    name: str
    content: bytes

    @cached_property
    def lines(self) -> list[str]:
        """Return the first lines that are not empty; the last one may be cut."""
        text = self.content.decode("utf-8", "replace")
        return [line for line in text.splitlines() if line.strip()][:50]

    def columns(self, separator: str) -> tuple[str, ...]:
        """Return the fields of the first line."""
        first = self.lines[0] if self.lines else ""
        return tuple(name.strip().strip('"') for name in first.split(separator))

    def has(self, *names: str, separator: str = ",") -> bool:
        """Return whether the first line is a header with all of these columns."""
        return set(names) <= set(self.columns(separator))


class Source:
    """An open trace file.

    Parameters
    ----------
    path
        Plain or gzip, a file or a pipe, with or without a byte order mark.

    Raises
    ------
    TraceError
        Here and while it is read, where it cannot be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if found := input_fault(path):
            raise TraceError(f"{path} {found}; allowed: the path of a file that can be read")
        try:
            self._raw, self.size = _opened(path)
            packed = self._raw.peek(2)[:2] == GZIP_MAGIC
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror}") from error
        self._stream: IO[bytes] = gzip.GzipFile(fileobj=self._raw) if packed else self._raw  # type: ignore[assignment]
        self._ahead = b""
        try:
            self._ahead = self._read(HEAD).removeprefix(BYTE_ORDER_MARK)
        except TraceError:
            self._raw.close()
            raise
        self.head = Head(path.name, self._ahead)
        self.ends_whole = True  # whether the last line that was read ended with a newline

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        """Bytes of the file that were read, packed as they are."""
        try:
            return self._raw.tell()
        except (OSError, ValueError):
            return 0

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines with their numbers from 1, without their ends."""
        line = 0
        rest = b""
        while block := self._next():
            pieces = (rest + block).split(b"\n")
            rest = pieces.pop()
            if len(rest) > _LONGEST_LINE:
                raise TraceError(f"{self.path}:{line + len(pieces) + 1}: the line does not end within 16 MiB")
            for piece in pieces:
                line += 1
                yield line, self._text(line, piece)
        self.ends_whole = not rest
        if rest:
            yield line + 1, self._text(line + 1, rest)

    def _text(self, line: int, piece: bytes) -> str:
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError as error:
            where = f"byte {error.start + 1} is 0x{piece[error.start]:02x}"
            raise TraceError(f"{self.path}:{line}: {where}; allowed: UTF-8 text") from error
        if "\0" in text:
            raise TraceError(f"{self.path}:{line}: has a NUL character; allowed: text without NUL")
        return text.removesuffix("\r")

    def items(self) -> Iterator[tuple[int, Any]]:
        """Yield the values of the JSON list that the file is, each with the line on which it begins.

        One value at a time is held; a file that ends within the list is told as cut off.
        """
        window = _JsonWindow(self)
        if window.mark() != "[":
            raise TraceError(f"{self.path}:{window.line}: this JSON is not a list; allowed: a list of jobs")
        window.skip()
        if window.mark() == "]":
            return
        while True:
            window.mark()
            line = window.line
            yield line, window.value()
            match window.mark():
                case ",":
                    window.skip()
                case "]":
                    return
                case "":
                    raise window.cut_off()
                case other:
                    raise TraceError(f"{self.path}:{window.line}: {other!r} after a value; allowed: ',' or ']'")

    def _next(self) -> bytes:
        if self._ahead:
            block, self._ahead = self._ahead, b""
            return block
        return self._read(_BLOCK)

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            why = "its end is missing" if isinstance(error, EOFError) else str(error)
            raise TraceError(f"{self.path}: it is not a complete gzip file: {why}") from error
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from error

    def text_block(self) -> bytes:
        """Return the next bytes, none at the end."""
        return self._next()


class _JsonWindow:
    """The part of a JSON text that is looked at."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._decoder = json.JSONDecoder()
        self._bytes = b""
        self._text = ""
        self._at = 0
        self._ended = False
        self._line, self._counted = 1, 0

    @property
    def line(self) -> int:
        """The line that is looked at."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _more(self) -> bool:
        """Read on; return whether there was more."""
        block = self._source.text_block()
        self._ended = not block
        line, content = self.line, self._bytes + block
        text, used = _decoded(content)
        if text is None:
            raise TraceError(f"{self._source.path}: line {line} or later is not UTF-8 text")
        self._text = self._text[self._at :] + text
        self._bytes, self._at, self._counted = content[used:], 0, 0
        return not self._ended

    def mark(self) -> str:
        """Return the next character that is no white space, an empty text at the end."""
        while True:
            while self._at < len(self._text):
                character = self._text[self._at]
                if not character.isspace():
                    return character
                self._at += 1
            if not self._more():
                return ""

    def skip(self) -> None:
        """Go on by a character."""
        self._at += 1

    def value(self) -> Any:
        """Return the value that begins here, and go behind it."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                self._require_more(error)
                continue
            except RecursionError as error:
                raise TraceError(f"{self._source.path}:{self.line}: a value is nested too deeply") from error
            if end == len(self._text) and isinstance(value, int | float) and self._more():
                continue  # a number may go on
            self._at = end
            return value

    def _require_more(self, error: json.JSONDecodeError) -> None:
        """Read on where a value is only not read whole; raise `TraceError` where it is none."""
        cut = error.pos >= len(self._text) - _SLACK or error.msg.startswith("Unterminated string")
        ends_here = _may_be_cut(self._text, error)  # now: reading on moves the text
        line = self.line + self._text.count("\n", self._at, error.pos)
        if cut and len(self._text) - self._at <= _LONGEST_VALUE:
            if self._more():
                return
            if ends_here:
                raise self.cut_off() from error
        raise TraceError(f"{self._source.path}:{line}: not JSON: {error.msg}") from error

    def cut_off(self) -> TraceError:
        """Return that the file ends too early."""
        line = self.line + self._text.count("\n", self._at)
        return TraceError(f"{self._source.path}:{line}: the file ends within its list of jobs: it was cut off")


def _may_be_cut(text: str, error: json.JSONDecodeError) -> bool:
    """Return whether nothing but the end of the text keeps it from being JSON."""
    rest = text[error.pos :].strip()
    if error.msg.startswith(("Unterminated", "Invalid \\")):
        return True
    return not rest or any(word.startswith(rest) for word in ("true", "false", "null"))


def _decoded(content: bytes) -> tuple[str | None, int]:
    """Return the whole characters of some bytes and how many bytes they are; None where it is no UTF-8."""
    try:
        return content.decode("utf-8"), len(content)
    except UnicodeDecodeError as error:
        if error.start < len(content) - 4:
            return None, 0
        return content[: error.start].decode("utf-8"), error.start


def _opened(path: Path) -> tuple[io.BufferedReader, int]:
    status = path.stat()
    if stat.S_ISFIFO(status.st_mode):  # it can be read once, and a run asks more than once
        content = read_input(path)
        return io.BufferedReader(io.BytesIO(content)), len(content)
    return path.open("rb"), status.st_size
