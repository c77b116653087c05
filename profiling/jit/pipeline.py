"""How numba compiles the two kinds of functions: inner ones only as far as the kernels need that they become part of.

By itself numba makes of every function a library that is optimised with all that it calls, turned into machine code,
and given two wrappers by which Python and C could call it: for a tree of thirty functions most of that is thrown away.
Here an inner function stays intermediate code; a kernel is optimised once, as a whole, and gets the wrapper for Python.

Source: `numba.core.dispatcher._FunctionCompiler` and `numba.core.codegen.JITCodeLibrary`, private.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import compiler
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.dispatcher import _FunctionCompiler  # type: ignore[attr-defined]


class KernelCompiler(_FunctionCompiler):  # type: ignore[misc]
    """Compiles a function that Python calls, and C does not."""

    def _customize_flags(self, flags: Any) -> Any:
        flags.no_cfunc_wrapper = True
        return flags


class InnerCompiler(_FunctionCompiler):  # type: ignore[misc]
    """Compiles a function that only compiled ones call."""

    def _compile_core(self, args: Sequence[Any], return_type: Any) -> CompileResult:
        flags = compiler.Flags()
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
        target = self.targetdescr.target_context
        return compiler.compile_extra(
            self.targetdescr.typing_context,
            target,
            self.py_func,
            args=args,
            return_type=return_type,
            flags=flags,
            locals=self.locals,
            library=IntermediateLibrary(target.codegen(), self.py_func.__qualname__),
            pipeline_class=self.pipeline_class,
        )


class IntermediateLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function and of all that it calls, to be linked into others: not optimised, no machine code."""

    def finalize(self) -> None:
        """Link in what it calls, and take no more."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)  # noqa: SLF001  (a method of this class)
        self._finalized = True
