"""Values as TOML: what a resolved study is written down with, since the standard library only reads it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def document(sections: Mapping[str, Any]) -> str:
    """Return sections as a TOML document, in their order: tables, and lists of tables. Empty ones are left out."""
    parts: list[str] = []
    for name, content in sections.items():
        tables = [content] if isinstance(content, Mapping) else content
        header = f"[{name}]" if isinstance(content, Mapping) else f"[[{name}]]"
        parts += ["\n".join([header, *_lines(table)]) for table in tables if table]
    return "\n\n".join(parts) + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {value_text(value)}" for key, value in table.items() if value is not None]


def _key(key: str) -> str:
    """Return a key, in quotes where it is more than one bare word: a dotted one stays one key."""
    return key if key.isascii() and key.replace("_", "").replace("-", "").isalnum() else _text(key)


def _text(text: str) -> str:
    """Return a text in quotes: JSON's escapes are TOML's, but for pairs of surrogates, and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value_text(value: Any) -> str:
    """Return a value as TOML writes it.

    Raises
    ------
    TypeError
        For what TOML has no form of.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case str():
            return _text(value)
        case Mapping():
            return "{ " + ", ".join(_lines(value)) + " }" if value else "{}"
        case Sequence():
            return "[" + ", ".join(value_text(each) for each in value) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no form in TOML")
