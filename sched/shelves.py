"""Classes by name: those of a package's modules, those that other distributions add by entry points, those of files.

A name ``FILE.py:CLASS`` is that of a class which stands on no shelf: it is loaded where it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from phasewise.profiling import own_files
from phasewise.profiling.defects import is_somebodys, told
from phasewise.profiling.errors import OwnFileError
from phasewise.profiling.names import nearest, quoted
from phasewise.sched.errors import SchedulingError

DOCS_STRIPPED: Final = sys.flags.optimize >= 2  # no class has a docstring, which is nobody's fault


@dataclass(slots=True)
class Shelf:
    """The classes of one kind, found when first asked for.

    Attributes
    ----------
    kind
        What they are, for messages.
    package, group
        Where they are: the modules of a package, and the entry points of a group.
    check
        Raises `SchedulingError` where a class is not fit for the shelf.
    needs
        What a class, or an object in its place, that somebody hands in must have, by attribute, in words; where it is
        empty, nobody may name a file.
    classes, broken
        What was found by name, and why a module or a plug-in cannot be loaded.
    """

    kind: str
    package: str
    group: str
    check: Callable[[Any], object] = lambda _: None
    needs: Mapping[str, str] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    discovered: bool = False

    def add(self, cls: Any) -> None:
        """Put a class on the shelf under its name; one of a file is none for a shelf, whatever decorates it."""
        if own_files.is_own(cls.__module__):
            return
        self.require_free(cls)
        if not (cls.__doc__ or "").strip() and not DOCS_STRIPPED:
            raise SchedulingError(f"{self.kind} {cls.name!r} of {cls.__module__} has no docstring to describe it by")
        self.check(cls)
        self.classes[cls.name] = cls

    def require_free(self, cls: Any) -> None:
        """Raise `SchedulingError` where another class has the name of this one."""
        known = self.classes.get(cls.name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise SchedulingError(
                f"{self.kind} {cls.name!r} is registered twice: by {known.__module__} and by {cls.__module__};"
                " rename one of them"
            )

    def found(self) -> Mapping[str, Any]:
        """Return all classes by name, in alphabetical order; what cannot be loaded is noted, and is in nobody's way."""
        if not self.discovered:
            self.discovered = True
            package = importlib.import_module(self.package)
            for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
                path = f"{self.package}.{module}"
                self.try_to_load(module, f"module {path}", partial(importlib.import_module, path))
            for point in entry_points(group=self.group):
                owner = f" of {point.dist.name}" if point.dist is not None else ""
                self.try_to_load(point.name, f"entry point {point.value}{owner}", partial(self.add_plugin, point))
            self.classes = dict(sorted(self.classes.items()))
        return self.classes

    @contextmanager
    def holding(self, cls: Any) -> Iterator[None]:
        """Have a class on the shelf for the length of a ``with`` block."""
        self.found()
        before = self.classes.get(cls.name)
        self.add(cls)
        try:
            yield
        finally:
            self._put_back(cls.name, before)

    @contextmanager
    def given(self, thing: Any, **attributes: Any) -> Iterator[str]:
        """Have a class, or an object in its place, on the shelf for the length of a block, and yield its name.

        Raises `SchedulingError` where it is not fit, or another has its name. ``attributes`` are those of what stands
        on the shelf for an object.
        """
        self.found()
        cls: Any = thing if isinstance(thing, type) else _Given(thing, attributes)
        self.require_fit(cls, f"{cls.__module__}.{cls.__qualname__}")
        self.require_free(cls)
        before = self.classes.get(cls.name)
        self.classes[cls.name] = cls
        try:
            yield cls.name
        finally:
            self._put_back(cls.name, before)

    def _put_back(self, name: str, before: Any) -> None:
        """Have under a name what was there before, such as the class of a cell that was run again; or nothing."""
        if before is None:
            self.classes.pop(name, None)
        else:
            self.classes[name] = before

    def add_plugin(self, point: EntryPoint) -> None:
        """Put the class on the shelf that an entry point names."""
        self.add(_loaded(point))

    def try_to_load(self, name: str, origin: str, load: Callable[[], object]) -> None:
        """Load a module or a plug-in; where that raises, whatever it is, note why."""
        try:
            load()
        except KeyboardInterrupt:
            raise
        except SchedulingError as error:  # says by itself what is wrong
            self.broken[name] = f"{origin}: {error}"
        except BaseException as error:  # somebody else's code, which may even ask for the end of the process
            self.broken[name] = f"{origin}: {told(error, _is_plugin)}"

    def get(self, name: str, unknown: type[SchedulingError]) -> Any:
        """Return the class of that name, or raise ``unknown`` with the names there are."""
        if self.needs and own_files.is_named(name):
            return self.of_file(name, unknown)
        classes = self.found()
        if name not in classes:
            if name in self.broken:
                raise unknown(f"{self.kind} {name!r} cannot be loaded: {self.broken[name]}; fix it or uninstall it")
            near = nearest(name, classes)
            yours = f"; or one of yours: {own_files.ALLOWED}" if self.needs else ""
            listed = f"{', '.join(classes)}{yours}{self.hint()}"
            raise unknown(f"no {self.kind} {quoted(name)}; choose one of: {listed}{near}")
        return classes[name]

    def of_file(self, name: str, unknown: type[SchedulingError]) -> Any:
        """Return the class that ``FILE.py:CLASS`` names, or raise ``unknown`` saying what is wrong with it."""
        try:
            cls = own_files.load(name)
            self.require_fit(cls, own_files.symbol(name))
        except (OwnFileError, SchedulingError) as error:
            raise unknown(f"{self.kind} {own_files.unpinned(name)}: {error}") from error
        return cls

    def require_fit(self, thing: Any, called: str) -> None:
        """Raise `SchedulingError` where a class, or an object in its place, is nothing for this shelf."""
        lacks = [f"{each} ({what})" for each, what in self.needs.items() if not hasattr(thing, each)]
        if lacks:
            raise SchedulingError(f"{called} is no {self.kind}: it lacks {'; '.join(lacks)}")
        if not isinstance(thing.name, str):
            raise SchedulingError(f"{called} is no {self.kind}: its name is {thing.name!r}; allowed: a text")
        self.check(thing)

    def hint(self) -> str:
        """Return which plug-ins are broken, of which one may be meant; empty where none is."""
        return f" (cannot be loaded: {'; '.join(map(': '.join, self.broken.items()))})" if self.broken else ""

    def descriptions(self) -> dict[str, str]:
        """Return the first docstring line of each class by name."""
        return {name: _first_line(cls) for name, cls in self.found().items()}


class _Given:
    """Stands on a shelf for an object that is there already, whatever options it should be made with."""

    def __init__(self, thing: Any, attributes: Mapping[str, Any]) -> None:
        kind = type(thing)
        self.thing = thing
        self.__module__, self.__qualname__, self.__doc__ = kind.__module__, kind.__qualname__, kind.__doc__
        vars(self).update(attributes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.thing, name)

    def __call__(self, options: object) -> Any:
        del options
        return self.thing


def _first_line(cls: Any) -> str:
    doc = (cls.__doc__ or "").strip()
    return doc.splitlines()[0].strip() if doc else "no description: Python has stripped the docstrings (-OO)"


def _loaded(point: EntryPoint) -> Any:
    cls = point.load()
    if not isinstance(cls, type) or not isinstance(getattr(cls, "name", None), str):
        raise SchedulingError("it is not a class with a `name`; name the class itself")
    return cls


def _is_plugin(module: str) -> bool:
    """Return whether a module is worth naming where loading failed: not Python's machinery, and not this file."""
    return module != __name__ and is_somebodys(module)
