"""Machine code as it is kept, and how it is loaded: without the tables of the compiler, which take longest to fill.

numba loads kept code only after it has registered everything that it can compile (NumPy's functions, strings, lists,
SciPy's BLAS and so on), and after it has read the intermediate code of each kernel, which only other kernels need that
are compiled later. Here both are done where they are needed. Machine code says which functions outside of itself it
calls; where one of these is not there, numba's way is taken.

Source: `numba.core.compiler.CompileResult._rebuild`, `numba.core.codegen.CodeLibrary._unserialize`, private.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, NamedTuple

import numpy.ma  # noqa: F401  numba looks for it when it sees the first array: in a phase of the first round, were it not here
from llvmlite import binding
from numba.core import serialize
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.environment import Environment, lookup_environment
from numba.core.runtime import _nrt_python

FORMAT: Final = 2
"""Of what is kept; part of the name under which it is."""


class KeptEnvironment(NamedTuple):
    """The Python objects that a function uses: its module, and its constants."""

    module: str
    constants: list[Any]
    name: str


class Kept(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    library
        Name of the library.
    machine_code, intermediate
        An object file, and the same as LLVM's bitcode.
    defined, outside
        Names that the code defines, and names that it refers to.
    environments
        Those of the functions that became part of it.
    rest
        What else numba needs of a result, in its order.
    """

    library: str
    machine_code: bytes
    intermediate: bytes
    defined: frozenset[str]
    outside: tuple[str, ...]
    environments: tuple[KeptEnvironment, ...]
    rest: tuple[Any, ...]


class KeptLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a kernel that was loaded: its intermediate code is read when another is compiled that calls it."""

    def __init__(self, codegen: Any, kept: Kept) -> None:
        super().__init__(codegen, kept.library)
        self._intermediate = kept.intermediate
        self._linkable: Any = None
        self.enable_object_caching()
        self._set_compiled_object(kept.machine_code)
        self._finalize_final_module()
        codegen._engine._defined_symbols |= kept.defined  # noqa: SLF001  (numba has no other way)

    def _get_module_for_linking(self) -> Any:
        if self._linkable is None:
            self._linkable = binding.parse_bitcode(self._intermediate)
        return self._linkable


def dumped(result: CompileResult) -> bytes:
    """Return what is to be kept of a compiled function."""
    (library, _, (machine_code, intermediate)), *rest, environments = result._reduce()  # noqa: SLF001
    module = result.library._get_module_for_linking()  # noqa: SLF001
    named = [*module.functions, *module.global_variables]
    defined = frozenset(each.name for each in named if not each.is_declaration)
    outside = tuple(each.name for each in named if each.is_declaration and not each.name.startswith("llvm."))
    inside = tuple(KeptEnvironment(each.globals["__name__"], list(each.consts), each.env_name) for each in environments)
    kept = Kept(library, machine_code, intermediate, defined, outside, inside, tuple(rest))
    return bytes(serialize.dumps(tuple(kept)))


def loaded(content: bytes, target_context: Any) -> CompileResult:
    """Return a function that was kept, ready to be called; raises what reading something else comes to."""
    kept = Kept(*pickle.loads(content))
    _register_runtime()
    if not _known(kept.outside):
        target_context.refresh()
    function, environment, signature, objectmode, lifted, annotation, reload_init = kept.rest
    environments = tuple(map(_environment, kept.environments))
    for initialise in reload_init:
        initialise()
    library = KeptLibrary(target_context.codegen(), kept)
    result = CompileResult(
        target_context=target_context,
        typing_context=target_context.typing_context,
        library=library,
        environment=environment,
        entry_point=target_context.get_executable(library, function, environment),
        fndesc=function,
        type_annotation=annotation,
        signature=signature,
        objectmode=objectmode,
        lifted=lifted,
        typing_error=None,
        call_helper=None,
        metadata=None,
        reload_init=reload_init,
        referenced_envs=environments,
    )
    for each in environments:
        library.codegen.set_env(each.env_name, each)
    return result


def _environment(kept: KeptEnvironment) -> Environment:
    """Return the environment of a function; no module of numba's is loaded for it: compiled code asks for none."""
    known = lookup_environment(kept.name)
    if known is not None:
        return known
    if kept.module not in sys.modules and kept.module.startswith("numba."):
        made = Environment({"__name__": kept.module})
    else:
        made = Environment(vars(importlib.import_module(kept.module)))
    made.consts[:] = kept.constants
    made.env_name = kept.name
    Environment._memo[kept.name] = made  # noqa: SLF001
    return made


def _known(names: Iterable[str]) -> bool:
    return all(binding.address_of_symbol(name) is not None for name in names)


@cache
def _register_runtime() -> None:
    """Tell LLVM where numba's memory management is; it works as soon as its module is loaded."""
    for name, address in _nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
