"""Line records: ``KIND {json}``, UTF-8, finite numbers only, one record a line.

Lines are bytes without the newline; sinks add it. They are a log for people and for live viewers: no artefact is ever
made by parsing them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from phasewise.profiling.errors import RecordError, cannot_read


class LineKind(StrEnum):
    """What a line is about."""

    PROFILE = "PROFILE"  # where the time went
    TELEMETRY = "TELEMETRY"  # the cluster in one round
    EVENT = "EVENT"  # something that happened to a job, a solver or the run


_PREFIXES = {str(kind): f"{kind} ".encode() for kind in LineKind}
_KNOWN = ", ".join(_PREFIXES)


def _plain(value: object) -> object:
    """Return the built-in form of a NumPy scalar or array; whatever else is no JSON value."""
    to_list = getattr(value, "tolist", None)
    if to_list is None:
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return to_list()


_to_json = msgspec.json.Encoder(enc_hook=_plain).encode
_from_json = msgspec.json.Decoder(dict[str, object]).decode


def encode(kind: str, record: Mapping[str, object]) -> bytes:
    """Return the line ``KIND {json}`` without a newline, its keys in the order of ``record``.

    Raises
    ------
    RecordError
        Where the kind is unknown, a number is NaN or infinite, or a value has no JSON form; the message names it.
    """
    try:
        prefix = _PREFIXES[kind]
    except KeyError:
        raise RecordError(f"no line of kind {kind!r}; choose one of: {_KNOWN}") from None
    try:
        encoded = _to_json(record)
    except (TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"cannot encode a {kind} line: {error}") from error
    # The encoder writes NaN and infinity as null. Only where there are more nulls than top-level Nones can one of them
    # be such a number (or a None further down, or text), and only then is every value looked at.
    nulls = encoded.count(b"null")
    if nulls and nulls != len([value for value in record.values() if value is None]):
        _check_finite(kind, record)
    return prefix + encoded


def _check_finite(kind: str, record: Mapping[str, object]) -> None:
    """Raise `RecordError` naming the first key path that leads to a number that is not finite."""
    for path, value in _leaves(record, ""):
        if isinstance(value, float) and not value - value == 0.0:  # NaN and infinity differ from themselves or by NaN
            raise RecordError(f"a {kind} line holds finite numbers only, but {path} is {value}")


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield every scalar inside ``value`` with the path of keys and indices that leads to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    elif hasattr(value, "tolist"):
        yield from _leaves(value.tolist(), path)
    else:
        yield path, value


def decode(line: bytes | str) -> tuple[str, dict[str, object]]:
    """Return kind and record of a line, with or without its newline.

    Raises
    ------
    RecordError
        Where the line is not ``KIND {json}`` with a known kind.
    """
    raw = line.encode() if isinstance(line, str) else line
    kind, _, encoded = raw.partition(b" ")
    name = kind.decode(errors="backslashreplace")
    if name not in _PREFIXES:
        raise RecordError(f"no line of kind {name[:40]!r}; expected one of: {_KNOWN}")
    try:
        return name, _from_json(encoded)
    except ValueError as error:  # covers wrong JSON, a value that is no object, and wrong UTF-8
        raise RecordError(f"{name} line: {error}") from error


def read_lines(path: Path | str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield kind and record of every line of a file.

    A last line that was cut off (no newline at its end, and not readable) is what a killed run leaves: it is ignored.

    Raises
    ------
    RecordError
        Where the file or any other line cannot be read; the message names file and line.
    """
    try:
        with Path(path).open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    record = decode(raw)
                except RecordError as error:
                    if not raw.endswith(b"\n"):
                        return
                    raise RecordError(f"{path}, line {number}: {error}") from error
                yield record
    except OSError as error:
        raise cannot_read(path, error) from error
