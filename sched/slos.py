"""What a policy says of the SLOs that it does not try to meet any more."""

from __future__ import annotations

from typing import NamedTuple


class GivenUp(NamedTuple):
    """The SLOs that a policy does not try to meet any more, by the ids of their jobs, ascending but for the last.

    Attributes
    ----------
    passed
        Those whose time is up.
    alone
        Those that the job could not meet if it had the cluster for itself.
    together
        Those that went because not all could be met together, in the order in which they went.
    """

    passed: tuple[int, ...]
    alone: tuple[int, ...]
    together: tuple[int, ...]
