"""What the files of a run hold, said once: recorder, reader and reference pages work by it.

A file is described field by field. A table or a kind of line is a `Record` of `Field`; what is JSON as a whole is a
msgspec struct whose annotations say the same with `told`, so that whoever fills or reads it is checked by types, too.
The descriptions themselves stand beside this module: `run_json`, `run_columns`, `line_fields`, `fill_files`.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from phasewise.profiling.errors import RecordError

SCHEMA: Final = 2
"""What is written. Every key and column of it is written; what is not known is null."""

READ: Final = (1, 2)
"""What is read. What a file of an earlier schema lacks is as if it were null."""

_PLACEHOLDER: Final = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table, or a key of a JSON record.

    Attributes
    ----------
    name
        Its name; ``<type>`` in it stands for one of several, as in ``utilization_<type>``.
    type
        The Arrow type of a column; of a key ``int``, ``float``, ``text``, ``bool``, ``list`` or ``object``.
    unit
        Empty for a plain number or text.
    meaning
        One line.
    null
        Where it is null (of a line: null, or left out); empty where it never is.
    since
        The schema that brought it.
    needed
        Whether a reader refuses a table without it.
    """

    name: str
    type: str
    unit: str
    meaning: str
    null: str = ""
    since: int = 1
    needed: bool = False


@dataclass(frozen=True)
class Record:
    """A table, or a kind of line.

    Attributes
    ----------
    name
        The file, or the kind.
    fields
        In the order in which they are written.
    meaning
        What a row, or a line, is.
    """

    name: str
    fields: tuple[Field, ...]
    meaning: str = ""
    _passed: set[tuple[str, ...]] = field(default_factory=set, init=False, repr=False, compare=False)

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset(each.name for each in self.fields)

    @cached_property
    def always(self) -> frozenset[str]:
        """Names of the fields that are never null."""
        return frozenset(each.name for each in self.fields if not each.null)

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], Field], ...]:
        return tuple((re.compile(_PLACEHOLDER.sub(r"\\w+", each.name)), each) for each in self.fields)

    @property
    def needed(self) -> tuple[str, ...]:
        """Return the names of the columns without which the table is refused."""
        return tuple(each.name for each in self.fields if each.needed)

    def columns(self, **several: Sequence[str]) -> tuple[Field, ...]:
        """Return a field for each column, in order.

        Parameters
        ----------
        several
            By the word in angle brackets, what it stands for: ``type=("k80", "v100")``.
        """
        found: list[Field] = []
        for each in self.fields:
            word = _PLACEHOLDER.search(each.name)
            names = [each.name] if word is None else [each.name.replace(word[0], name) for name in several[word[1]]]
            found += [replace(each, name=name) for name in names]
        return tuple(found)

    def describes(self, column: str) -> bool:
        """Return whether there is a field of this name, or one that stands for several of which it is one."""
        return any(pattern.fullmatch(column) for pattern, _ in self._patterns)

    def require(self, record: Mapping[str, object]) -> None:
        """Raise `RecordError` where a line has a key that is not described, or lacks one that it always has."""
        keys = tuple(record)
        if keys in self._passed:  # nearly every line of a run: a third of the time of looking at each key
            return
        if self.always <= record.keys() <= self._all:
            self._passed.add(keys)
            return
        unknown = sorted(record.keys() - self._all)
        missing = sorted(self.always - record.keys())
        raise RecordError(f"{self.name}: keys that are not described: {unknown}; keys that are missing: {missing}")


def told(meaning: str, unit: str = "", *, null: str = "", since: int = 1) -> msgspec.Meta:
    """Return the description of a key, for its annotation in a struct; see `Field`."""
    return msgspec.Meta(description=meaning, extra={"unit": unit, "null": null, "since": since})


def keys_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """Return the fields of a struct whose annotations are described with `told`."""
    return tuple(_key(each) for each in msgspec.structs.fields(struct))


def _key(key: msgspec.structs.FieldInfo) -> Field:
    kind, meta = get_args(key.type)
    extra: Mapping[str, Any] = meta.extra
    return Field(key.encode_name, _word(kind), extra["unit"], meta.description, extra["null"], extra["since"])


def _word(kind: Any) -> str:
    """Return the type of a key in one word, None left aside."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _word(next(part for part in get_args(kind) if part is not types.NoneType))
    if origin is Literal:
        return "text"
    known = {bool: "bool", int: "int", float: "float", str: "text", list: "list", tuple: "list"}
    return known.get(origin or kind, "object")
