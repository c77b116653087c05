"""What makes a compiled function of a plain one: numba, with one signature, behind typed decorators.

A `kernel` is called by Python: its machine code is kept on disk (`store`) under a digest of all that it is made from.
An `inner` function is called by kernels alone and compiled as a part of each. Both are compiled for what their
annotations say (`layouts`): an array of another element type, of other axes or order is an error and not another
compilation. Only an argument without such an annotation, such as the rule of a placement, may have several types.

No function is compiled with `fastmath`: sums are added in the order written, and the same seed gives the same bytes
(decision 0008). Division by 0 gives what NumPy gives.

Source: numba's dispatcher (`numba.core.dispatcher`), of which a few methods are overridden; its API is private, so the
version of numba has an upper bound.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, NamedTuple, TypeVar, cast

import numpy as np
from numba import config, typeof
from numba.core import sigutils, types, typing
from numba.core.compiler import CompileResult
from numba.core.registry import CPUDispatcher

from phasewise.profiling.jit.account import ACCOUNT
from phasewise.profiling.jit.digest import UnkeyableError, digest
from phasewise.profiling.jit.loading import FORMAT, dumped, loaded
from phasewise.profiling.jit.pipeline import InnerCompiler, KernelCompiler
from phasewise.profiling.jit.signatures import Signature, accepts, described, signature_of
from phasewise.profiling.jit.store import current, environment

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: Final = {"nopython": True, "boundscheck": None, "error_model": "numpy"}
_UNREADABLE: Final = (pickle.UnpicklingError, EOFError, ImportError, AttributeError, LookupError, TypeError, ValueError)
"""What reading something of another version, or of a module that is gone, comes to."""


class LayoutError(TypeError):
    """A compiled function was handed something that it is not compiled for."""


class Compiled(CPUDispatcher):  # type: ignore[misc]
    """A function that is compiled for what its annotations say."""

    _formal: Signature | None = None

    @property
    def title(self) -> str:
        """Its name, dotted, without the name of the project."""
        return f"{self.py_func.__module__}.{self.py_func.__qualname__}".removeprefix("phasewise.")

    @property
    def formal(self) -> Signature:
        """The type of each argument, None for one that may have several."""
        if self._formal is None:
            self._formal = signature_of(self.py_func)
        return self._formal

    def signature_for(self, given: Sequence[Any]) -> Signature:
        """Return the types that it is compiled for where it is called with these."""
        pairs = zip(self.formal, given, strict=True)
        return tuple(
            types.unliteral(actual)  # type: ignore[attr-defined]
            if formal is None
            else formal
            for formal, actual in pairs
        )

    def result_for(self, signature: Signature) -> CompileResult:
        """Return the machine code for a signature; load or compile it first where it is not there."""
        if signature not in self.overloads:
            self.compile(signature)
            if None not in self.formal and isinstance(self, Kernel):
                self.disable_compile()  # from here on, numba converts numbers and refuses other arrays without asking
        return self.overloads[signature]

    # -- what numba calls --------------------------------------------------------------------------------------------

    def get_call_template(self, args: Sequence[Any], kws: dict[str, Any]) -> tuple[Any, Any, Any, dict[str, Any]]:
        """Return what a compiled caller is told: the one signature that fits, to which it converts its numbers."""
        pysig, folded = self._compiler.fold_argument_types(args, kws)
        result = self.result_for(self.signature_for(folded))
        name = self.py_func.__name__
        template = typing.make_concrete_template(f"CallTemplate({name})", key=name, signatures=[result.signature])
        return template, pysig, folded, {}

    def _compile_for_args(self, *args: Any, **_: Any) -> Any:
        """Return the entry point for the arguments of a call from Python."""
        given = tuple(self.typeof_pyval(argument) for argument in args)
        self._types_active_call.clear()
        wanted = self.signature_for(given)
        if not all(accepts(*pair, self.typingctx) for pair in zip(given, wanted, strict=True)):
            raise self._mismatch(given, wanted)
        return self.result_for(wanted).entry_point

    def _explain_matching_error(self, *args: Any, **_: Any) -> None:
        given = tuple(self.typeof_pyval(argument) for argument in args)
        raise self._mismatch(given, self.signature_for(given))

    def _mismatch(self, given: Signature, wanted: Signature) -> LayoutError:
        names = self._compiler.pysig.parameters
        wrong = [
            f"{name} is {got}, not {asked}"
            for name, got, asked in zip(names, given, wanted, strict=True)
            if not accepts(got, asked, self.typingctx)
        ]
        return LayoutError(f"{self.title} is not compiled for this: {'; '.join(wrong)}")


class Inner(Compiled):
    """A compiled function that kernels call and become one with."""

    def __init__(self, py_func: Callable[..., Any], *args: Any, **kws: Any) -> None:
        super().__init__(py_func, *args, **kws)
        self._compiler = _like(self, InnerCompiler)
        self._callable: Kernel | None = None

    def add_overload(self, cres: CompileResult) -> None:
        """Note what was compiled: for compiled callers, as there is nothing that Python could call."""
        self.overloads[tuple(cres.signature.args)] = cres
        self.targetctx.insert_user_function(cres.fndesc, cres.fndesc, [cres.library])

    def get_overload(self, sig: Any) -> Any:
        """Return the key by which compiled callers find the code."""
        return self.overloads[tuple(sigutils.normalize_signature(sig)[0])].fndesc

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        """Return the entry point for a call from Python, which tests make: of a kernel made for it."""
        if self._callable is None:
            self._callable = Kernel(self.py_func, targetoptions=self.targetoptions)
        return self._callable._compile_for_args(*args, **kws)  # noqa: SLF001


class Kernel(Compiled):
    """A compiled function that Python calls. Its machine code is kept on disk.

    Attributes
    ----------
    also
        Functions that go into it without being named in it.
    methods
        Names of methods that are compiled into it, of the named tuples that it is called with.
    """

    also: tuple[Callable[..., Any], ...] = ()
    methods: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kws: Any) -> None:
        super().__init__(*args, **kws)
        self._compiler = _like(self, KernelCompiler)
        self._cache = _Kept(self)

    def compile(self, sig: Signature) -> Any:
        """Load or compile a signature; the time that compiling takes is accounted for."""
        with ExitStack() as self._cache.accounted:
            entry = super().compile(sig)
            result = self.overloads[sig]
            for environment_of_inner in result.referenced_envs or result._find_referenced_environments():  # noqa: SLF001
                result.codegen.set_env(environment_of_inner.env_name, environment_of_inner)
            return entry

    def file_of(self, signature: Signature) -> str | None:
        """Return the name under which a signature's machine code is kept, None where that cannot be told."""
        roots = [self, *self.also, *_methods(signature, self.methods)]
        about = (self.title, described(signature), environment(self.targetctx.codegen()), f"format {FORMAT}")
        try:
            return f"{self.py_func.__name__}-{digest(roots, *about)[:40]}"
        except UnkeyableError:
            return None


def _like(compiled: Any, kind: type[Any]) -> Any:
    """Return a compiler of another kind for a function."""
    old = compiled._compiler  # noqa: SLF001
    return kind(old.py_func, old.targetdescr, old.targetoptions, old.locals, old.pipeline_class)


def _methods(signature: Signature, names: Iterable[str]) -> list[Any]:
    """Return the methods of these names that the classes of named tuples in a signature have."""
    classes = [each.instance_class for each in signature if isinstance(each, types.BaseNamedTuple)]  # type: ignore[attr-defined]
    return [found for kind in classes for name in names if (found := getattr(kind, name, None)) is not None]


class _Kept:
    """The files of a kernel, as numba's dispatcher asks for them."""

    cache_path = None

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.accounted = ExitStack()

    def load_overload(self, sig: Signature, target_context: Any) -> CompileResult | None:
        """Return what is kept of a signature, None where it is to be compiled."""
        name = self._kernel.file_of(sig)
        result = None if name is None else _read(name, target_context)
        if result is None:
            self.accounted.enter_context(ACCOUNT.compiling(self._kernel.title))
            self._kernel._compilation_chain_init_hook()  # noqa: SLF001
            target_context.refresh()
        return result

    def save_overload(self, sig: Signature, result: CompileResult) -> None:
        """Keep machine code; where nothing can be written, it stays in memory alone."""
        name = self._kernel.file_of(sig)
        if name is not None and not result.library.has_dynamic_globals:
            with suppress(OSError):
                current().save(name, dumped(result))


def _read(name: str, target_context: Any) -> CompileResult | None:
    content = current().load(name)
    if content is None:
        return None
    try:
        return loaded(content, target_context)
    except _UNREADABLE:
        current().drop(name)
        return None


def enabled() -> bool:
    """Return whether functions are compiled at all: not where NUMBA_DISABLE_JIT says so."""
    return not config.DISABLE_JIT


# -- decorators ------------------------------------------------------------------------------------------------------


def kernel(
    *, allocates: bool = True, also: Iterable[Callable[..., Any]] = (), methods: Iterable[str] = ()
) -> Callable[[Function], Function]:
    """Return a decorator that makes a `Kernel`.

    Parameters
    ----------
    allocates
        Whether it makes, keeps or returns arrays. Where not, numba counts no references to the arrays that it is
        handed, which takes most of the time of a short loop over a tuple of twenty of them.
    also, methods
        See `Kernel`.
    """

    def decorate(function: Function) -> Function:
        if not enabled():
            return _plain(function)
        made = Kernel(function, targetoptions=_options(allocates=allocates))
        made.also, made.methods = tuple(also), tuple(methods)
        return cast("Function", made)

    return decorate


def _plain(function: Function) -> Function:
    """Return a function that is not compiled, returning numbers of Python's own as a compiled one does."""

    @functools.wraps(function)
    def called(*args: Any) -> Any:
        found = function(*args)
        return tuple(map(_number, found)) if type(found) is tuple else _number(found)

    return cast("Function", called)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def inner(function: Function) -> Function:
    """Return a function compiled as a part of the kernels that call it."""
    return function if not enabled() else cast("Function", Inner(function, targetoptions=_options()))


def loop(function: Function) -> Function:
    """Return the same for a function that makes, keeps and returns no array; see `kernel`."""
    options = _options(allocates=False)
    return function if not enabled() else cast("Function", Inner(function, targetoptions=options))


def _options(*, allocates: bool = True) -> dict[str, object]:
    return dict(_OPTIONS) if allocates else {**_OPTIONS, "_nrt": False}


class Wanted(NamedTuple):
    """Machine code that is needed: a kernel and the types that it is called with."""

    kernel: Kernel
    signature: Signature

    @property
    def title(self) -> str:
        """The kernel's name, and the classes of arguments that may have several."""
        open_types = [each for each, formal in zip(self.signature, self.kernel.formal, strict=True) if formal is None]
        named = ", ".join(getattr(getattr(each, "instance_class", None), "__name__", str(each)) for each in open_types)
        return f"{self.kernel.title}[{named}]" if named else self.kernel.title

    @property
    def ready(self) -> bool:
        """Whether it is loaded."""
        return self.signature in self.kernel.overloads


def wanted(function: Callable[..., Any], *values: Any) -> list[Wanted]:
    """Return what is needed to call a kernel; nothing where numba is turned off (NUMBA_DISABLE_JIT).

    Parameters
    ----------
    function
        A kernel.
    values
        What the arguments are that may have several types, in their order.
    """
    if not isinstance(function, Kernel):
        return []
    given = iter(values)
    return [Wanted(function, tuple(typeof(next(given)) if each is None else each for each in function.formal))]
