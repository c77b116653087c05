"""Run a callable under a profiler and write down what it saw.

A profiled run is for reading, never for timing: samples of the call stack make it about 1.3 times slower, line by line
profiling about 3 times. Profilers are imported only here and only when used.
"""

from __future__ import annotations

import importlib
import inspect
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import SamplingError

Result = TypeVar("Result")
Target = str | ModuleType | Callable[..., object]

_FONTS = re.compile(r"https://fonts\.[^\"'\s)]*")  # a style sheet that the page would ask a network for

INTERVAL_S = 0.001  # between two samples of the call stack: at Philly scale every round is then seen about once


def sample_stacks(
    call: Callable[[], Result], html: Path | str, interval_s: float = INTERVAL_S, most: int | None = None
) -> Result:
    """Return what ``call`` returns, and write where its time went as an HTML page of pyinstrument.

    Parameters
    ----------
    call
        What to run. Where it raises, its error passes through and nothing is written.
    html
        The page, written whole or not at all.
    interval_s
        Seconds between two samples.
    most
        Samples on the page, about a kilobyte each; of more, every second one is kept, or third, and so on. None: all.

    Raises
    ------
    OutputError
        Where the page cannot be written.
    """
    from pyinstrument import Profiler  # noqa: PLC0415

    profiler = Profiler(interval=interval_s, async_mode="disabled")
    profiler.start()
    try:
        result = call()
    finally:
        profiler.stop()
    write_atomically(html, _page(profiler, most).encode())
    return result


def _page(profiler: Any, most: int | None) -> str:
    """Return the HTML page of what a profiler of pyinstrument saw."""
    from pyinstrument.renderers import HTMLRenderer  # noqa: PLC0415

    session = profiler.last_session
    if most is not None and len(session.frame_records) > most:
        session = session.resample(interval=session.duration / most)
    page = _FONTS.sub("data:text/css,", str(HTMLRenderer().render(session)))
    return page.replace(sys.prefix, "venv").replace(sys.base_prefix, "python")  # names, not this machine's folders


def profile_lines(call: Callable[[], Result], targets: Iterable[Target], text: Path | str) -> Result:
    """Return what ``call`` returns, and write the time of every line of some functions as a text of line_profiler.

    The text begins with a list of the functions; both the list and the tables of lines have the hottest function first.

    Parameters
    ----------
    call
        What to run. Where it raises, its error passes through and nothing is written.
    targets
        Functions to look into; a module stands for all functions and methods written in it. Either may be named:
        ``"package.module"``, ``"package.module:function"``, ``"package.module:Class.method"``.
    text
        The file, written whole or not at all; the only one that is written.

    Raises
    ------
    SamplingError
        Where a target does not exist or is no Python function (compiled code has no lines); the message names it.
    OutputError
        Where the text cannot be written.
    """
    from line_profiler import LineProfiler  # noqa: PLC0415

    profiler = LineProfiler()
    for function in dict.fromkeys(function for target in targets for function in _functions(target)):
        profiler.add_function(function)
    profiler.enable_by_count()
    try:
        result = call()
    finally:
        profiler.disable_by_count()
    write_atomically(text, _hottest_first(profiler).encode())
    return result


def _hottest_first(profiler: Any) -> str:
    """Return the text of line_profiler: the list of functions, then their lines. By itself it ends with the hottest."""
    from line_profiler import show_text  # noqa: PLC0415

    seen = profiler.get_stats()
    spent = {function: sum(time for *_, time in lines) for function, lines in seen.timings.items()}
    ordered = {function: seen.timings[function] for function in sorted(spent, key=lambda name: -spent[name])}
    names, lines = io.StringIO(), io.StringIO()
    common: dict[str, Any] = {"output_unit": 1e-6, "stripzeros": True, "config": False}
    show_text(ordered, seen.unit, stream=names, details=False, summarize=True, **common)
    show_text(ordered, seen.unit, stream=lines, **common)
    return names.getvalue() + lines.getvalue().partition("\n\n")[2]  # one line with the unit is enough


def _functions(target: Target) -> Iterator[FunctionType]:
    """Yield the Python functions that a target stands for."""
    found = _resolve(target) if isinstance(target, str) else target
    if isinstance(found, ModuleType):
        yield from _written_in(found, found)
        return
    function = inspect.unwrap(found) if callable(found) else found
    function = getattr(function, "__func__", function)  # of a bound method
    if not isinstance(function, FunctionType):
        raise SamplingError(f"{target!r} is no Python function and no module: its lines cannot be timed")
    yield function


def _written_in(module: ModuleType, namespace: ModuleType | type) -> Iterator[FunctionType]:
    """Yield functions, and methods of classes, that are written in a module, not imported by it."""
    for member in vars(namespace).values():
        if isinstance(member, type) and member.__module__ == module.__name__:
            yield from _written_in(module, member)
            continue
        found = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        function = inspect.unwrap(found) if callable(found) else found
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            yield function


def _resolve(name: str) -> object:
    """Return the module ``"package.module"`` or what is at ``"package.module:path.in.it"``."""
    module_name, _, path = name.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except ImportError as error:
        raise SamplingError(f"{name!r} cannot be profiled: {error}") from error
    for part in path.split(".") if path else ():
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise SamplingError(f"{name!r} cannot be profiled: {module_name} has no {path}") from error
    return found
