"""Whether a run directory holds a run that can go on, and from where.

What decides a run has to be the same: its resolved scenario, the sources of the rules, the files it read. Limits of a
run (`LIMITS`) may be others: to raise one is what a run that was stopped is resumed for. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from phasewise.profiling.artefacts.run_json import Basis
from phasewise.profiling.environment import describe_environment
from phasewise.sched.basis import basis_of, input_paths
from phasewise.sched.errors import ResumeError
from phasewise.sched.recording.checkpoint import Checkpoint, Checkpoints, read_checkpoint
from phasewise.sched.recording.run_files import OVER, RUN, require_files, resumption
from phasewise.sched.scenario import own_code
from phasewise.sched.scenario.config import Scenario

LIMITS: Final = (
    "stop.rounds", "stop.sim_time_s", "stop.wall_s", "limits.sim_time_s", "limits.cpu_s", "limits.memory_mib",
)  # fmt: skip
_BEGIN_ANEW: Final = ("stop.wall_s", "limits.cpu_s")  # count from where a run goes on
_WAYS_OUT: Final = "; or name another folder, or replace the run with --overwrite"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the run of a folder stands.

    Attributes
    ----------
    over
        Its `run.json`, where it is over.
    checkpoint
        From where it can go on; None, where it is not over, means from the beginning.
    notes, doubts
        What whoever asked should know, and should be warned of.
    """

    over: Mapping[str, Any] | None = None
    checkpoint: Checkpoint | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def standing(scenario: Scenario, out: Path) -> Standing:
    """Return where the run of ``scenario`` in ``out`` stands.

    Raises
    ------
    ResumeError
        Where the folder holds another run, or one that is further than the limits that are set now, or its files are
        damaged.
    ScenarioError
        Where a file that the scenario names cannot be read.
    """
    run = _run_json(out)
    if run is None:
        return Standing()
    _require_same(scenario, run, out)
    if _over(scenario, run, out):
        return Standing(over=run, notes=(f"the run in {out} is over ({run['status']}): nothing is written",))
    checkpoint, damage = _last(out)
    if checkpoint is None:
        spacing = "" if scenario.output.checkpoint_rounds else " (output.checkpoint_rounds is 0)"
        return Standing(doubts=(f"there is no checkpoint in {out}{spacing}: the run starts from the beginning",))
    _require_before(scenario, checkpoint, out)
    doubts = list(_machine_doubts(checkpoint))
    if damage is not None:
        doubts.insert(0, f"{damage}: the run continues from the previous checkpoint")
    resumed = f"resumed at round {checkpoint.round_index:,}, from a checkpoint in {out}"
    return Standing(checkpoint=checkpoint, notes=(resumed,), doubts=tuple(doubts))


def _machine_doubts(checkpoint: Checkpoint) -> Iterator[str]:
    """Yield what keeps the rest of a run from being, to the byte, what it would have been: another machine's."""
    changed = resumption(checkpoint, describe_environment()).changed
    if changed:
        told = "; ".join(f"{name} is {here}, was {there}" for name, (there, here) in changed.items())
        yield (
            f"the run continues with another processor or other packages: {told}; its results remain valid, but only "
            "with the same ones are they byte-identical to those of an uninterrupted run"
        )


def _run_json(out: Path) -> dict[str, Any] | None:
    """Return the `run.json` of a folder, None where it has none: no run has begun there."""
    try:
        run = msgspec.json.decode((out / RUN).read_bytes(), type=dict[str, Any])
        return run | {"scenario": dict(run["scenario"]), "summary": dict(run["summary"]), "status": run["status"]}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResumeError(f"cannot read {out / RUN}: {error.strerror}{_WAYS_OUT}") from error
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(f"{out / RUN} is not a run directory: {error}{_WAYS_OUT}") from error


def _require_same(scenario: Scenario, run: Mapping[str, Any], out: Path) -> None:
    told = list(_differences(scenario, run))
    if told:
        raise ResumeError(
            f"{out} holds another run: {'; '.join(told)}; allowed: the same scenario, rules and inputs, "
            f"except for {', '.join(LIMITS)}{_WAYS_OUT}"
        )


def _differences(scenario: Scenario, run: Mapping[str, Any]) -> Iterator[str]:
    """Yield what decides the run of ``scenario`` otherwise than that of ``run``."""
    basis = basis_of(scenario)
    there = msgspec.convert(run["basis"], Basis) if run.get("basis") else Basis()
    ours, theirs = dict(_flat(_plain(scenario))), dict(_flat(run["scenario"]))
    by_content = {key for key in input_paths(scenario) if key in there.inputs}
    for key in sorted(ours.keys() | theirs.keys()):
        now, then = ours.get(key), theirs.get(key)
        if key not in LIMITS and key not in by_content and not own_code.is_same(key, now, then):
            yield own_code.difference(key, now, then) or f"{key} is {_shown(now)}, was {_shown(then)}"
    for key in sorted(basis.inputs.keys() | there.inputs.keys()):
        if basis.inputs.get(key) != there.inputs.get(key) and key in by_content | (there.inputs.keys() - ours.keys()):
            yield f"the content of the file that {key} names has changed"
    if basis.rules != there.rules:
        yield f"the rules are {_version(basis)}, were {_version(there)}"


def _plain(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as `run.json` has it."""
    return msgspec.json.decode(msgspec.json.encode(scenario), type=dict[str, Any])


def _flat(values: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{under}{key}.")
        else:
            yield f"{under}{key}", value


def _shown(value: object) -> str:
    return "not set" if value is None or value in ("", {}) else msgspec.json.encode(value).decode()


def _version(basis: Basis) -> str:
    return f"of version {basis.version} (sources {basis.rules[:12]})" if basis.rules else "of an earlier version"


def _over(scenario: Scenario, run: Mapping[str, Any], out: Path) -> bool:
    """Return whether the run is over: as it ended, and by the limits that are set now."""
    if run["status"] in OVER:
        return True
    if run["status"] != "stopped":
        return False
    come = {"stop.rounds": run["summary"]["rounds"], "stop.sim_time_s": run["summary"]["sim_time_s"]}
    now, then = _limits(_plain(scenario)), _limits(run["scenario"])
    if all(now[key] == then[key] for key in come):
        at_others = any(_limit(run["scenario"], key) is not None for key in _BEGIN_ANEW)
        return not at_others or any(_reached(come[key], now[key]) for key in come)
    for key, far in come.items():
        if now[key] != then[key] and _reached(far, now[key]) and far != now[key]:
            raise ResumeError(_too_far(key, now[key], far, out))
    return any(_reached(far, now[key]) for key, far in come.items())


def _last(out: Path) -> tuple[Checkpoint | None, ResumeError | None]:
    """Return the last checkpoint that is whole and fits the files, and what is wrong with one behind it."""
    damage: ResumeError | None = None
    for path in Checkpoints(out).found():
        try:
            checkpoint = read_checkpoint(path)
            require_files(out, checkpoint.marks)
        except ResumeError as error:
            damage = damage or error
        else:
            return checkpoint, damage
    if damage is not None:
        raise ResumeError(f"the run in {out} cannot continue: {damage}{_WAYS_OUT}") from damage
    return None, None


def _require_before(scenario: Scenario, checkpoint: Checkpoint, out: Path) -> None:
    """Raise where a limit that was lowered would have ended the run before its checkpoint."""
    come = {"stop.rounds": checkpoint.round_index, "stop.sim_time_s": checkpoint.state["clocks.now_s"]}
    now, then = _limits(_plain(scenario)), _limits(checkpoint.scenario)
    for key, far in come.items():
        if now[key] != then[key] and _reached(far, now[key]) and far != now[key]:
            raise ResumeError(_too_far(key, now[key], far, out))


def _limits(scenario: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the limits of simulated quantities, of simulated time the lower one."""
    times = [time for key in ("stop.sim_time_s", "limits.sim_time_s") if (time := _limit(scenario, key)) is not None]
    return {"stop.rounds": _limit(scenario, "stop.rounds"), "stop.sim_time_s": min(times, default=None)}


def _limit(scenario: Mapping[str, Any], key: str) -> float | None:
    section, _, name = key.partition(".")
    value: float | None = scenario.get(section, {}).get(name)
    return value


def _reached(far: float, limit: float | None) -> bool:
    return limit is not None and far >= limit


def _too_far(key: str, limit: float | None, far: float, out: Path) -> str:
    return f"{key} is {limit:,g}, but the run in {out} has come to {far:,g}; allowed: that or more, or none{_WAYS_OUT}"
