"""The notebooks: they hold no outputs, and their cells run in order, in any folder."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_one_and_keeps_no_outputs(path: Path) -> None:
    book = json.loads(path.read_text())
    assert (book["nbformat"], book["metadata"]["kernelspec"]["language"]) == (4, "python")
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
    for cell in book["cells"]:
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        assert max(map(len, "".join(cell["source"]).splitlines())) <= 120


@pytest.mark.thorough
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_run_in_order(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells(path, "code")):
        source = "".join(cell["source"])
        ast.parse(source)  # plain Python: no magic, which needs a kernel
        exec(compile(source, f"{path.name}, cell {number}", "exec"), names)
    said = capsys.readouterr().out
    assert names["run"].status == names["shortest"].status == "complete"
    assert len(names["run"].jobs) == 6
    assert names["study"].done
    assert all((tmp_path / file).is_file() for file in names["files"])
    assert names["solution"].gap < 1e-6
    assert len(re.findall(r"jobs/h: [\d.]+ h over 2 seeds", said)) == 4
