"""Several sets of sampled stacks as one tree: rows in order, so that a place of the tree is a range of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.profiling.stacks import Folded

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Stack = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """All stacks of several samplings.

    Attributes
    ----------
    frames
        Names of functions in alphabetical order.
    stacks
        S stacks as indices of frames, the outermost first, in order.
    leaves
        (F,) the frames that a stack ends with, ascending.
    leaf_rows, leaf_starts
        (S,) the rows, those of one leaf together, and (F,) where each leaf's begin.
    starts, ends, parents, node_frames
        (N,) of each node of the tree: its range of rows, the node above it (-1: none) and its frame (-1: the root,
        which comes first). A node comes after the one above it.
    """

    frames: list[str]
    stacks: list[Stack]
    leaves: Ints
    leaf_rows: Ints
    leaf_starts: Ints
    starts: Ints
    ends: Ints
    parents: list[int]
    node_frames: list[int]

    def seconds(self, folded: Folded) -> Floats:
        """Return (S,) CPU seconds of each stack in one of the samplings."""
        return self._by_row(folded, folded.cpu_s)

    def squares(self, folded: Folded) -> Floats:
        """Return (S,) sums of the squares of the CPU seconds of its samples; of a tick each where nobody noted them."""
        tick_s = folded.tick_s or sum(folded.cpu_s) / max(1, folded.samples)
        return self._by_row(folded, folded.squares_s2 or [cpu_s * tick_s for cpu_s in folded.cpu_s])

    def _by_row(self, folded: Folded, values: Sequence[float]) -> Floats:
        """Return (S,) sums of what each stack of a sampling has, of those with CPU time."""
        place = {stack: row for row, stack in enumerate(self.stacks)}
        found = np.zeros(len(self.stacks))
        for stack, cpu_s, value in zip(_renamed(folded, self.frames), folded.cpu_s, values, strict=True):
            if cpu_s > 0.0:
                found[place[stack]] += value
        return found

    def by_leaf(self, values: Floats) -> Floats:
        """Return (R, F) sums over the stacks that end with each leaf, of (R, S) values."""
        found: Floats = np.add.reduceat(values[:, self.leaf_rows], self.leaf_starts, axis=1)
        return found

    def by_node(self, values: Floats) -> Floats:
        """Return (R, N) sums over the stacks through each node, of (R, S) values."""
        sums = np.zeros((values.shape[0], values.shape[1] + 1))
        np.cumsum(values, axis=1, out=sums[:, 1:])
        found: Floats = sums[:, self.ends] - sums[:, self.starts]
        return found


def forest_of(samplings: Sequence[Folded]) -> Forest:
    """Return the tree of all stacks with CPU time, of one sampling or more, under the names of their functions."""
    frames = sorted({name for folded in samplings for name in folded.frames})
    stacks = sorted(
        {
            stack
            for folded in samplings
            for stack, cpu_s in zip(_renamed(folded, frames), folded.cpu_s, strict=True)
            if cpu_s > 0.0 and stack
        }
    )
    ends_with = np.array([stack[-1] for stack in stacks], dtype=np.int64)
    leaf_rows = np.argsort(ends_with, kind="stable")
    leaves, leaf_starts = np.unique(ends_with[leaf_rows], return_index=True)
    starts, ends, parents, node_frames = _nodes(stacks)
    return Forest(frames, stacks, leaves, leaf_rows, leaf_starts, starts, ends, parents, node_frames)


def _renamed(folded: Folded, frames: Sequence[str]) -> list[Stack]:
    """Return the stacks with the indices that their functions have in ``frames``."""
    place = {name: index for index, name in enumerate(frames)}
    moved = [place[name] for name in folded.frames]
    return [tuple(moved[frame] for frame in stack) for stack in folded.stacks]


def _nodes(stacks: Sequence[Stack]) -> tuple[Ints, Ints, list[int], list[int]]:
    """Return ranges of rows, parents and frames of the nodes of the tree of stacks in order."""
    starts, ends, parents, frames = [0], [len(stacks)], [-1], [-1]
    line = [0]  # the nodes from the root to the end of the last stack
    path: Stack = ()  # the last stack
    for row, stack in enumerate(stacks):
        shared = next((at for at, (a, b) in enumerate(zip(path, stack, strict=False)) if a != b), len(path))
        for node in line[shared + 1 :]:
            ends[node] = row
        del line[shared + 1 :]
        for frame in stack[shared:]:
            parents.append(line[-1])
            line.append(len(starts))
            starts.append(row)
            ends.append(len(stacks))
            frames.append(frame)
        path = stack
    return np.array(starts), np.array(ends), parents, frames
