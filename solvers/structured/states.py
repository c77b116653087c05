"""What a job is to price sifting at the prices and the level of a moment: one number each, in compiled loops, too."""

from __future__ import annotations

from typing import Final

SHORT: Final = 0
"""Cannot reach t."""
FREE: Final = 1
"""Is left to the small program."""

# Without a movement cost:

ABOVE: Final = 2
"""Runs all the time on its first type, because that pays by itself; gains more than t."""
SINGLE: Final = 3
"""Runs on its first type for as long as t takes."""
PAIR: Final = 4
"""Runs all the time, on its first and its second type in the proportion that gives t."""

# With one, by what a job does first for more of t:

CONSTANT: Final = 5
"""Gains at least t without any weight: does not depend on t."""
START: Final = 6
"""Adds time on a type while time is left."""
RETURN: Final = 7
"""Takes back kept time while time is left."""
SWAP: Final = 8
"""Replaces added time by added time on a faster type."""
DROP: Final = 9
"""Replaces kept time by added time on a faster type."""
REPLACE: Final = 10
"""Replaces added time by kept time on a faster type."""
