"""The generator against jobs that the original drew, bit for bit or to the decimals its traces keep."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from oracle import GAVEL, read
from readers import Reader

from phasewise.sched.workload.gavel_trace import read_trace, write_trace
from phasewise.sched.workload.generator import GeneratedWorkload, Recipe
from phasewise.sched.workload.throughputs import ThroughputTable

TYPES = ("k80", "p100", "v100")
PRINTED = (0, 5, 6, 7, 8, 9)  # what the simulation reads: job type, steps, scale factor, weight, SLO, arrival

pytestmark = pytest.mark.oracle


def drawn(recipe: Recipe) -> Reader:
    return Reader(GeneratedWorkload(recipe, ThroughputTable.builtin(), TYPES), recipe.seed)


def recipe_of(case: dict[str, object]) -> Recipe:
    return Recipe(
        seed=int(str(case["seed"])),
        jobs=int(str(case["num_jobs"])),
        mean_gap_s=float(str(case["lam_s"])),
        multi_gpu=bool(case["multi_gpu"]),
        scale_factor_cap=int(str(case["scale_factor_cap"])),
        priorities=bool(case["multi_priority"]),
    )


def printed(path: Path) -> list[tuple[str, ...]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t")[field] for field in PRINTED) for line in lines]


def test_every_trace_of_the_original_is_drawn_again(tmp_path: Path) -> None:
    traces = GAVEL / "traces"
    cases = read(traces / "traces.json")
    assert len(cases) == 7
    for case in cases:
        ours = tmp_path / f"{case['name']}.trace"
        write_trace(drawn(recipe_of(case)).until(math.inf), ours, truncate=True)
        assert printed(ours) == printed(traces / f"{case['name']}.trace"), case["name"]


def test_generated_steps_and_arrivals_are_the_originals_to_the_last_bit() -> None:
    name = "gen24_lam1800_s3--6_6_6--g111--max_sum_throughput_normalized_by_cost_perf--gcp_slo.json"
    recorded = read(GAVEL / "results" / name)["jobs"]
    ours = [
        (job.job_id, job.job_type, job.scale_factor, job.priority_weight, job.total_steps, job.arrival_s)
        for job in drawn(Recipe(seed=3, jobs=24, mean_gap_s=1800.0)).until(math.inf)
    ]
    keys = ("id", "job_type", "scale_factor", "priority_weight", "total_steps", "arrival_s")
    assert ours == [tuple(job[key] for key in keys) for job in recorded]


def test_every_trace_of_the_original_is_read_without_a_fault() -> None:
    throughputs = ThroughputTable.builtin().for_types(TYPES)
    traces = sorted(GAVEL.glob("*/*.trace"))
    assert len(traces) == 9
    for path in traces:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(read_trace(path, throughputs)) == len(lines)


def test_the_built_in_throughputs_are_the_published_ones_bit_for_bit(shared_dir: Path) -> None:
    published = ThroughputTable.from_csv(shared_dir / "data" / "gavel" / "throughputs.csv").for_types(TYPES)
    ours = ThroughputTable.builtin().for_types(TYPES)
    assert ours.job_types() == published.job_types()
    assert ours.rows.shape == (83, 3)
    assert ours.rows.tobytes() == published.rows.tobytes()
