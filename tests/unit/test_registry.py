"""Policies and placements by name: discovery, messages, plug-ins, and what listing costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasewise.sched import registry
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.errors import SchedulingError, UnknownPlacementError, UnknownPolicyError
from phasewise.sched.scenario.config import Cluster

OPTIONS = registry.PlacementOptions(ClusterLayout.build(Cluster(gpus={"v100": 4})))
OURS = {"fifo", "fifo_perf", "isolated", "max_min_fairness", "max_min_fairness_perf", "recorded"}

PLUGIN = '''
class {name}:
    """{docstring}"""

    name = "{registered}"
    type_order = "fixed"
    needs_positive_priority = False

    def __init__(self, options):
        self.seed = options.seed
'''


def run_python(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | ({"PYTHONPATH": str(path)} if path is not None else {})
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def installed_plugin(folder: Path, source: str, points: str) -> Path:
    (folder / "thirdparty.py").write_text(source)
    metadata = folder / "thirdparty-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(points)
    return folder


def test_every_policy_is_found_and_listed_alphabetically() -> None:
    names = registry.policy_names()
    assert set(names) >= OURS
    assert list(names) == sorted(names)


def test_strided_is_among_the_placements() -> None:
    assert "strided" in registry.placement_names()
    assert registry.placement("strided", OPTIONS).name == "strided"


def test_each_is_described_in_one_line() -> None:
    described = registry.describe_policies() | registry.describe_placements()
    assert set(described) == set(registry.policy_names()) | set(registry.placement_names())
    for line in described.values():
        assert line.strip() == line != ""
        assert "\n" not in line
        assert line.endswith(".")


def test_an_unknown_policy_is_told_which_there_are() -> None:
    with pytest.raises(UnknownPolicyError, match=r"no policy 'fifoo'; choose one of: .*fifo_perf, .*, isolated"):
        registry.policy("fifoo")


def test_an_unknown_placement_is_told_which_there_are() -> None:
    with pytest.raises(UnknownPlacementError, match=r"no placement 'stride'; choose one of: .*strided"):
        registry.placement("stride", OPTIONS)


def test_a_class_can_be_registered_for_a_while() -> None:
    class Passing:
        """Is there for a while."""

        name = "passing"

        def __init__(self, options: object) -> None:
            self.options = options

    with registry.registered_policy(Passing):  # type: ignore[arg-type]
        assert registry.policy("passing").name == "passing"
    assert "passing" not in registry.policy_names()


def test_two_classes_of_one_name_are_refused() -> None:
    class Usurper:
        """Takes another's name."""

        name = "isolated"

    registry.policy_names()
    with pytest.raises(SchedulingError, match="policy 'isolated' is registered twice"):
        registry.register_policy(Usurper)  # type: ignore[type-var]
    assert type(registry.policy("isolated")).__name__ == "Isolated"


def test_a_class_without_a_docstring_cannot_be_described_and_is_refused() -> None:
    class Silent:
        name = "silent"

    with pytest.raises(SchedulingError, match=r"'silent' .* has no docstring"):
        registry.register_policy(Silent)  # type: ignore[type-var]
    assert "silent" not in registry.policy_names()


def test_listing_imports_no_solver_and_no_compiler() -> None:
    done = run_python(
        "import sys; from phasewise.sched import registry;"
        "registry.describe_policies(); registry.describe_placements();"
        "print([m for m in ('cvxpy', 'highspy', 'numba', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_a_policy_of_another_distribution_is_found_by_its_entry_point(tmp_path: Path) -> None:
    source = PLUGIN.format(name="Lottery", docstring="Draw lots.", registered="lottery")
    folder = installed_plugin(tmp_path, source, "[phasewise.policies]\nlottery = thirdparty:Lottery\n")
    done = run_python(
        "from phasewise.sched import registry as r; from phasewise.sched.policy_options import PolicyOptions;"
        "print(r.describe_policies()['lottery'], r.policy('lottery', PolicyOptions(seed=7)).seed)",
        folder,
    )
    assert (done.stdout.strip(), done.stderr) == ("Draw lots. 7", "")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("[phasewise.policies]\nx = thirdparty:Absent\n", "thirdparty:Absent of thirdparty: AttributeError: "),
        (
            "[phasewise.policies]\nx = nowhere:Lottery\n",
            "nowhere:Lottery of thirdparty: ModuleNotFoundError: ",
        ),
        ("[phasewise.placements]\nx = thirdparty:__name__\n", "it is not a class with a `name`"),
        ("[phasewise.policies]\nx = thirdparty:Lottery\n", "'isolated' is registered twice"),
        ("[phasewise.policies]\nx = torn:Lottery\n", "SystemExit: 0 (line 2 of "),
    ],
)
def test_a_broken_plugin_is_named(tmp_path: Path, points: str, message: str) -> None:
    source = PLUGIN.format(name="Lottery", docstring="Draw lots.", registered="isolated")
    (tmp_path / "torn.py").write_text("import sys\nsys.exit(0)\n")
    folder = installed_plugin(tmp_path, source, points)
    done = run_python(
        "from phasewise.sched import registry, errors\n"
        "for name, why in (registry.broken_policies() | registry.broken_placements()).items(): print(name, why)\n"
        "try:\n    registry.policy('x')\n"
        "except errors.UnknownPolicyError as error:\n    print(error)\n"
        "registry.policy('fifo'), registry.placement_names()",
        folder,
    )
    listed, refused = done.stdout.splitlines()
    assert message in listed
    assert listed.startswith("x entry point ")
    assert "'x'" in refused
    assert ("policies" in points) == (message in refused)
    assert (done.stderr, done.returncode) == ("", 0)
