"""The parts of a simulation, built of a scenario, and what has to fit together before a run begins.

Flows in: a resolved scenario. Flows out: `Parts`, or an error that names what is wrong. The runner
(`phasewise.sched.simulate`) imports this, and benchmarks that step rounds by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from phasewise.profiling.jit.kernel import Wanted, wanted
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import Ints, NodeAccount, Placement, Policy, Ruled, StatesProblems
from phasewise.sched.cluster.corrections import as_seen
from phasewise.sched.cluster.gangs import by_node
from phasewise.sched.cluster.layout import ClusterLayout, Node
from phasewise.sched.cluster.node_lists import build_layout, listed_nodes, node_count
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import ScenarioError
from phasewise.sched.limits import effective_stop
from phasewise.sched.memory import estimate, require_memory
from phasewise.sched.pair_rates import Packs
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.round import kernels, lease_kernels, round_kernels, selection_kernels
from phasewise.sched.round.migration import MigrationModel
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.rules import Timing, preferred_types
from phasewise.sched.round.stopping import Stopper
from phasewise.sched.scenario import policy_section
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.workloads import build_workload
from phasewise.sched.workload.arrivals import Workload
from phasewise.sched.workload.co_throughputs import CoRates, CoThroughputTable
from phasewise.solvers import registry as solvers
from phasewise.solvers.families.max_min import MAX_MIN_SWITCHING
from phasewise.solvers.families.moving_sum import MAX_SUM_SWITCHING
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING
from phasewise.solvers.session import Solver, open_solver

_MOVING = frozenset({MAX_MIN_SWITCHING, MAX_MIN_PACKED_SWITCHING, MAX_SUM_SWITCHING})


@runtime_checkable
class UsesKernels(Protocol):
    """A policy with compiled code of its own, which is to be ready before a run begins."""

    @property
    def kernels(self) -> tuple[Wanted, ...]:
        """The compiled kernels that it takes with its options."""
        ...


def build_parts(scenario: Scenario, timer: PhaseTimer) -> Parts:
    """Return the parts of a simulation; raises as `simulate` does for wrong input."""
    chosen = registry.policy_class(scenario.policy.name)
    solves, packs = _solves(chosen), getattr(chosen, "packs", None) is True
    require_memory(estimate(scenario, node_count(scenario.cluster), solves=solves, packs=packs))
    layout = build_layout(scenario.cluster)
    timing = Timing.resolve(scenario.timing)
    workload = build_workload(scenario, layout.worker_types)
    layout = _as_seen(scenario, workload, layout)
    if scenario.workload.trace:
        require_memory(estimate(scenario, layout.nodes, solves=solves, packs=packs, jobs=workload.held))
    told = _told(scenario, timing, layout)
    policy = registry.policy(scenario.policy.name, told, policy_section.chosen(scenario))
    solver = open_solver(scenario.solver.name, scenario.solver.kwargs, timer)
    _require_families(policy, solver)
    _require_single_gpus(policy, workload)
    placement = registry.placement(
        scenario.placement.name,
        registry.PlacementOptions(layout, whole_gpus=not (layout.limited or _on_nodes(scenario, workload))),
    )
    if timing.ideal and not placement.spans_nodes:
        raise ScenarioError(
            "timing.mechanism 'ideal' knows no nodes, but jobs of this trace share GPUs or run on some types only; "
            "allowed: whole GPUs, or timing.mechanism = rounds"
        )
    return Parts(
        layout=layout,
        timing=timing,
        workload=workload,
        policy=policy,
        solve=solver.solve,
        placement=placement,
        stopper=Stopper(effective_stop(scenario), workload.total, _arrivals_per_s(scenario)),
        seed=scenario.seed,
        type_order=tuple(preferred_types(timing, layout.worker_types, workload.throughputs.mean_rates())),
        check_invariants=scenario.output.check_invariants,
        checkpoint_rounds=scenario.output.checkpoint_rounds,
        migration=MigrationModel.build(scenario.migration, workload.throughputs.names),
        gpu_hour_price=np.array(told.gpu_hour_prices) if told.gpu_hour_prices else None,
        idle_nodes=None if placement.spans_nodes else _idle_nodes(layout, workload),
        kernels=_kernels(policy, solver, placement),
        co_rates=_co_rates(scenario, policy, workload),
    )


def _as_seen(scenario: Scenario, workload: Workload, listed: ClusterLayout) -> ClusterLayout:
    """Return where every GPU is, those included that the log of a trace shows and a node list leaves out."""
    nodes, told = contradicted(scenario, workload)
    return ClusterLayout.of(nodes) if told else listed


def contradicted(scenario: Scenario, workload: Workload) -> tuple[list[Node], str]:
    """Return the nodes of a scenario's list, corrected by its trace, and what was corrected; see `as_seen`."""
    seen = (workload.imported or {}).get("machines")
    if not seen or not scenario.cluster.nodes:
        return [], ""
    return as_seen(listed_nodes(scenario.cluster), seen)


def _arrivals_per_s(scenario: Scenario) -> float | None:
    """Return the rate at which jobs arrive, None where they do not at one, or are served as was recorded.

    A trace has busy days, and a replay of recorded allocations ends where they do.
    """
    chosen = scenario.workload
    if chosen.trace or scenario.policy.name == "recorded":
        return None
    return chosen.rate_per_hour / 3600.0 or None


def _on_nodes(scenario: Scenario, workload: Workload) -> bool:
    """Return whether jobs may share a GPU or run on some types only, so that each has to fit on a node."""
    if not scenario.workload.trace:
        return bool(scenario.workload.pods)
    return any(request.gpu_spec or request.gpu_milli != WHOLE_MILLI for request in workload.requests())


def _told(scenario: Scenario, timing: Timing, layout: ClusterLayout) -> PolicyOptions:
    """Return what the run tells every policy."""
    prices = scenario.cluster.gpu_hour_prices
    return PolicyOptions(
        mask_impossible=timing.mask_impossible,
        reference_speeds=timing.reference_speeds,
        slos_all_or_none=timing.slos_all_or_none,
        gpu_hour_prices=tuple(prices[name] for name in layout.worker_types) if prices else (),
        move_weight=scenario.migration.weight / timing.round_s if scenario.migration.enabled else 0.0,
        seed=scenario.seed,
        worker_types=layout.worker_types,
    )


def _solves(policy: type | object) -> bool:
    """Return whether a policy states problems, as far as it says so."""
    return not isinstance(policy, StatesProblems) or bool(policy.families)


def _co_rates(scenario: Scenario, policy: Policy, workload: Workload) -> CoRates | None:
    """Return how fast jobs are in pairs, where the policy packs."""
    if not (isinstance(policy, Packs) and policy.packs):
        return None
    if scenario.timing.mechanism == "ideal":
        raise ScenarioError(
            f"policy {policy.name} packs, and timing.mechanism 'ideal' knows no teams; "
            "allowed: 'rounds', or a policy that does not pack"
        )
    table = CoThroughputTable.chosen(scenario.workload.co_throughputs)
    if scenario.workload.co_throughputs:
        table.require_some(workload.throughputs)
    return table.of_jobs(workload.throughputs)


def _idle_nodes(layout: ClusterLayout, workload: Workload) -> Callable[[Ints], NodeAccount]:
    """Return what makes idle nodes, whose fragmentation is judged by what the workload's jobs typically ask for."""
    from phasewise.sched.nodes.state import NodeState  # noqa: PLC0415  (its kernels are of no use where jobs span nodes)

    return lambda stream: NodeState(layout, by_node(workload.tasks, layout), stream=stream)


def _require_families(policy: Policy, solver: Solver) -> None:
    """Raise `ScenarioError` where a solver of the chain does not take what the policy states.

    Every one must: a link that never can answer is a mistake, and the run would depend on the others unnoticed.
    """
    stated = policy.families if isinstance(policy, StatesProblems) else frozenset()
    for name, taken in solver.families.items():
        for family in sorted(stated - taken):
            able = [each.name for each in solvers.describe() if each.installed and family in each.families]
            cause = ", as migration.enabled makes moving cost" if family in _MOVING else ""
            raise ScenarioError(
                f"solver {name} does not take problem family {family}, which policy {policy.name} states{cause}; "
                f"choose a solver that does: {', '.join(able)}"
            )


def _require_single_gpus(policy: Policy, workload: Workload) -> None:
    """Raise `ScenarioError` where a policy is for jobs of one whole GPU alone, and others may come."""
    if not getattr(policy, "single_gpus_only", False):
        return
    others = [request for request in workload.requests() if (request.gpus, request.gpu_milli) != (1, WHOLE_MILLI)]
    if others:
        gpus = ", ".join(f"{demand:g}" for demand in sorted({each.demand_milli / WHOLE_MILLI for each in others})[:8])
        raise ScenarioError(
            f"policy {policy.name} is for jobs of one whole GPU each, but jobs of {gpus} GPUs may come; choose another "
            "policy, or a workload of such jobs, as the generator's with workload.scale_factors = single and no pods"
        )


def _kernels(policy: Policy, solver: Solver, placement: Placement) -> tuple[Wanted, ...]:
    """Return the compiled kernels that the loop, the policy, the solver and the placement take."""
    families = policy.families if isinstance(policy, StatesProblems) else frozenset()
    of_rounds = (kernels, selection_kernels, round_kernels, lease_kernels)
    needed = [each for module in of_rounds for kernel in module.KERNELS for each in wanted(kernel)]
    needed += solver.kernels(families)
    needed += policy.kernels if isinstance(policy, UsesKernels) else ()
    if not placement.spans_nodes and isinstance(placement, Ruled):
        from phasewise.sched.nodes.state import kernels_of  # noqa: PLC0415  (as in `_idle_nodes`)

        needed += kernels_of(placement.rule, teams=isinstance(policy, Packs) and policy.packs)
    return tuple(needed)
