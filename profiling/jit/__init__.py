"""Compiled kernels: what declares one, what it is made from, where it is kept, and how it is made before it is needed.

`layouts` says what arrays look like (no numba); `kernel` makes a compiled function of a plain one, with the one
signature that `signatures` reads off its annotations; `digest` says what went into it; `store` keeps machine code by
that, and `loading` reads it without filling the compiler's tables; `account` says what was compiled and how long it
took; `prepare` has what is missing compiled by `worker` processes before a loop begins.
"""
