"""Profiles for reading, small enough to be kept beside the pages: call stacks, hot lines, the trace of phases."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import phasewise.profiling as _package
from phasewise.bench.cli.profiled import modules_of, run_of, shortened
from phasewise.bench.publish.measured import Workplace
from phasewise.bench.publish.origins import Stopwatch, origin, settings
from phasewise.bench.publish.scales import Plan
from phasewise.bench.series.runs import run_into
from phasewise.profiling import sampling
from phasewise.profiling.errors import SamplingError
from phasewise.reports.publication import HotLine, Profiles, write_page

FLAME, LINES, TRACE = "stacks.html", "lines.txt", "trace.json.gz"
HOT_LINES: Final = 15
LEAST_SHARE: Final = 0.01  # of all watched lines: a function with less is left out of the text
OFTEN: Final = 0.1  # hits a round
MOST_SAMPLES: Final = 700  # of the call stack, about a kilobyte each
MOST_BYTES: Final = 1_000_000  # of a file that is kept
ROOT: Final = Path(next(iter(_package.__path__))).resolve().parent

_FUNCTION = re.compile(r"^Total time: (\S+) s\nFile: (.+)\nFunction: (.+) at line \d+\n", re.MULTILINE)
_LINE = re.compile(r"^ *(\d+) +(\d+) +([\d.e+]+) +[\d.e+]+ +[\d.]+  (.*)$", re.MULTILINE)


def profiles(scale: str, plan: Plan, place: Workplace, pages: Path) -> Profiles:
    """Write the profiles of a scale into the folder ``pages/scale`` and return what they are and what is in them."""
    from phasewise.sched.scenario.loading import load_scenario

    plan.prepare()
    watch, rounds = Stopwatch(), plan.profiled_rounds
    scenario = shortened(load_scenario(plan.scenario, plan.overrides), rounds)
    home = pages / scale
    with TemporaryDirectory(prefix="phasewise-") as scratch:
        folder = Path(scratch)
        traced = folder / "traced"
        run_into(traced, plan.scenario, {**plan.overrides, "stop.rounds": rounds})
        stacks, lines = folder / FLAME, folder / LINES
        sampling.sample_stacks(run_of(scenario, folder / "a"), stacks, most=MOST_SAMPLES)
        place.say(f"{scale}: call stacks of {rounds} rounds")
        sampling.profile_lines(run_of(scenario, folder / "b"), modules_of(scenario), lines)
        place.say(f"{scale}: lines of {rounds} rounds")
        told = hot_lines(lines.read_text("utf-8"))
        often = (line for line in told if line.hits >= OFTEN * rounds)  # what is done once a run is not hot
        found = sorted(often, key=lambda line: -line.time_ms)
        keep(home / FLAME, anywhere(stacks.read_text("utf-8")).encode())
        keep(home / LINES, anywhere(warmest(lines.read_text("utf-8"))).encode())
        keep(home / TRACE, gzip.compress(gzip.decompress((traced / TRACE).read_bytes()), 9, mtime=0))
        done = json.loads((traced / "run.json").read_text("utf-8"))["summary"]["rounds"]
    return Profiles(
        origin=origin(
            f"{settings(plan.scenario, plan.overrides, 'profile')} --profile-rounds {rounds}",
            f"one run of {done} rounds under each profiler",
            "none: a profiled run is for reading, never for timing",
            watch.cpu_s(),
        ),
        flame=f"{scale}/{FLAME}",
        lines=f"{scale}/{LINES}",
        trace=f"{scale}/{TRACE}",
        rounds=done,
        hot=found[:HOT_LINES],
    )


def hot_lines(text: str) -> Iterator[HotLine]:
    """Yield every line of a text of line_profiler, its share that of all lines without what lines call.

    A line that calls a function which is watched itself is left out: its time is told line by line there.
    """
    blocks = list(_blocks(text))
    watched = {name.rpartition(".")[2] for _, _, name, _ in blocks}
    own = [
        (path, name, int(line), int(hits), float(spent_us) / 1e3, source.strip())
        for _, path, name, body in blocks
        for line, hits, spent_us, source in _LINE.findall(body)
        if not watched & set(re.findall(r"(\w+)\(", source))
    ]
    total = sum(spent_ms for *_, spent_ms, _ in own) or 1.0
    for path, name, line, hits, spent_ms, source in own:
        yield HotLine(anywhere(path), line, name, source, hits, spent_ms, spent_ms / total)


def warmest(text: str) -> str:
    """Return a text of line_profiler with the functions that took `LEAST_SHARE` of the longest, longest first."""
    blocks = list(_blocks(text))
    least = LEAST_SHARE * max((total for total, *_ in blocks), default=0.0)
    kept = sorted((block for block in blocks if block[0] >= least), key=lambda block: -block[0])
    return "Timer unit: 1e-06 s\n\n" + "\n".join(
        f"Total time: {total:.6g} s\nFile: {path}\nFunction: {name}\n{body.rstrip()}\n"
        for total, path, name, body in kept
    )


def _blocks(text: str) -> Iterator[tuple[float, str, str, str]]:
    """Yield total seconds, file, function and table of each function of a text of line_profiler."""
    heads = list(_FUNCTION.finditer(text))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = text[head.end() : following.start() if following else len(text)]
        body = re.split(r"\n\s*\n\s*[\d.]+ seconds - ", body)[0]  # the list of functions at the end
        yield float(head[1]), head[2], head[3], body


def anywhere(text: str) -> str:
    """Return a text without the paths of this machine."""
    for folder in (str(ROOT), sys.prefix, sys.base_prefix):
        text = text.replace(folder + "/", "")
    return text


def keep(path: Path, content: bytes) -> None:
    """Write a file that is kept beside the pages; raise `SamplingError` where it is too large for that."""
    if len(content) > MOST_BYTES:
        raise SamplingError(
            f"{path}: the profile has {len(content):,} bytes, and at most {MOST_BYTES:,} are kept; profile fewer rounds"
        )
    write_page(path, content)
