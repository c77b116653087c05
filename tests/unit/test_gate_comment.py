"""What the gate's workflow says on a pull request: one comment, and no failure for want of rights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "comment"
TABLE = "case   base ms\nloop   40.0\nslower than at 06522b0440b5\n"
# Stands for GitHub's program: keeps what it was asked, answers with ids, and may fail.
GH = """#!/bin/bash
echo "$*" >> "$SAID"
for word; do case $word in body=@*) cp "${word#body=@}" "$SAID.body" ;; esac; done
case "$*" in *--jq*) printf '%s' "$IDS"; exit "${READ:-0}" ;; *) exit "${WRITE:-0}" ;; esac
"""


@pytest.fixture
def comment(tmp_path: Path) -> Callable[..., tuple[str, list[str], str]]:
    """Return what runs the script: its output, what it asked of GitHub, and the summary of the job."""
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "gate.txt").write_text(TABLE)

    def run(code: int = 1, **others: str) -> tuple[str, list[str], str]:
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SAID": str(tmp_path / "said"),
            "IDS": "",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "GITHUB_REPOSITORY": "us/phasewise",
            "NUMBER": "12",
            "GH_TOKEN": "t",
            "PAGE": "https://example.org/artefact",
            **others,
        }
        done = subprocess.run(
            [SCRIPT, tmp_path / "gate.txt", str(code)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        asked = (tmp_path / "said").read_text().splitlines() if (tmp_path / "said").exists() else []
        return done.stdout, asked, (tmp_path / "summary.md").read_text()

    return run


def test_the_first_run_comments(comment: Callable[..., tuple[str, list[str], str]], tmp_path: Path) -> None:
    said, asked, summary = comment()
    assert "commented on pull request 12" in said
    assert asked[1].startswith("api --silent -X POST repos/us/phasewise/issues/12/comments -F body=@")
    body = (tmp_path / "said.body").read_text()
    assert body == summary
    assert body.startswith("<!-- phasewise gate -->\n### Gate: a case is slower\n")
    assert f"```\n{TABLE}```\n" in body
    assert "[Differential flame graphs and all samples](https://example.org/artefact)" in body


def test_a_later_run_changes_that_comment(comment: Callable[..., tuple[str, list[str], str]]) -> None:
    _, asked, summary = comment(0, IDS="77\n78")
    assert asked[1].startswith("api --silent -X PATCH repos/us/phasewise/issues/comments/77 -F body=@")
    assert "### Gate: no case is slower" in summary
    assert "[All samples](" in summary


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [({"GH_TOKEN": ""}, "no token"), ({"READ": "1"}, "comments cannot be read"), ({"WRITE": "1"}, "may not write")],
)
def test_without_the_right_to_write_the_summary_has_the_table(
    comment: Callable[..., tuple[str, list[str], str]], lacking: dict[str, str], reason: str
) -> None:
    said, _, summary = comment(2, **lacking)
    assert reason in said
    assert "the table is in the summary of the job" in said
    assert "### Gate: not comparable" in summary
    assert TABLE in summary


def test_the_workflow_gives_the_script_what_it_takes() -> None:
    workflow = (ROOT / ".github" / "workflows" / "gate.yml").read_text()
    assert ".ci/comment gate/gate.txt" in workflow
    assert all(f"{name}: ${{{{" in workflow for name in ("GH_TOKEN", "NUMBER", "PAGE"))
    assert "pull-requests: write" in workflow
    assert workflow.rstrip().endswith('exit "${{ steps.gate.outputs.code }}"')
