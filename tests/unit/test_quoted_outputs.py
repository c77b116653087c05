"""What pages quote is what the commands on them print, apart from times."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from phasewise.bench.cli.boundary import ExitCode
from phasewise.bench.quoting import QuoteError, Workbench, pages, quotes, rewritten, same_everywhere

ROOT = Path(__file__).resolve().parents[2]
PAGES = pages()
DOCUMENTATION = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# How what is printed about runs begins: a summary, a comparison.
BEGINNINGS = re.compile(r"^```\n(\w+  (complete|stopped|overloaded)  |A  [\w-]+  (complete|stopped)$)", re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REFUSED = re.compile(r"^\$ phasewise (.*)\n(phasewise: error: .*)$", re.MULTILINE)
LOCKED = re.compile(r"^highspy==(\S+)", re.MULTILINE)


def compared(output: str) -> str:
    """Return what has to agree. An optimum is not unique: another version of HiGHS may find another schedule."""
    told = same_everywhere(output)
    locked = LOCKED.search((ROOT / "requirements.txt").read_text())
    assert locked is not None
    return told if version("highspy") == locked[1] else re.sub(r"[ \d.]*\d+[ \d.]*", "#", told)


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phasewise: Callable[..., Any]
) -> Callable[[Sequence[str]], str]:
    """Return what runs a command in this process: starting one for each takes longer than most of them run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def output(words: Sequence[str]) -> str:
        said = phasewise(*words)
        if said.code:
            raise QuoteError(f"{shlex.join(words)}: exit code {said.code}: {said.err.strip()}")
        return said.out

    return output


def of_its_cost(page: Path) -> Any:
    """Return a page as a case: the tutorial runs two weeks of a busy cluster, so it is for the night."""
    marks = [pytest.mark.nightly] if page.name == "first-run.md" else []
    return pytest.param(page, marks=marks, id=str(page.relative_to(ROOT)))


@pytest.mark.thorough
@pytest.mark.parametrize("page", [of_its_cost(page) for page in PAGES])
def test_a_page_quotes_what_its_commands_print(page: Path, tmp_path: Path, here: Callable) -> None:
    bench = Workbench(tmp_path, here)
    for quote in quotes(page.read_text("utf-8")):
        assert compared(quote.text) == compared(bench.output(quote)), f"{quote.command}: make quotes"


@pytest.mark.parametrize("page", DOCUMENTATION, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_quotes_of_runs_is_marked(page: Path) -> None:
    text = page.read_text("utf-8")
    marked = {quote.start for quote in quotes(text)}
    assert [found[0] for found in BEGINNINGS.finditer(text) if found.start() + len("```\n") not in marked] == []


def test_the_first_pages_that_people_read_are_checked() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "docs/tutorial/first-run.md", "docs/howto/compare-runs.md"} <= names


@pytest.mark.nightly
def test_what_the_readme_runs_at_alibaba_scale_ends_with_its_window(tmp_path: Path) -> None:
    commands = re.findall(r"^\$ phasewise (run alibaba .*?)(?:  +#|$)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    page = "".join(f"```console\n$ phasewise {command}\n```\n" for command in commands)
    page += '<!-- output to "B": phasewise compare runs/alibaba runs/best -->\n```\n```\n'
    (quote,) = quotes(rewritten(page, Workbench(tmp_path).output))
    assert quote.text == "A  alibaba  complete\nB  best  complete\n"


def messages() -> list[tuple[str, str]]:
    """Return every command of a page that shows which error it ends with, and the message."""
    consoles = (block for page in DOCUMENTATION for block in CONSOLE.findall(page.read_text("utf-8")))
    return [found for block in consoles for found in REFUSED.findall(block)]


@pytest.mark.parametrize(("command", "message"), messages())
def test_a_command_that_is_shown_to_fail_fails_with_the_message_shown(
    command: str, message: str, phasewise: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "ecos" in command:
        pytest.importorskip("ecos", reason="needs ECOS, an extra of this package, below Python 3.13")
    monkeypatch.chdir(tmp_path)
    said = phasewise(*shlex.split(command))
    assert said.code in {ExitCode.BAD_INPUT, ExitCode.FAILED}
    assert compared(message) in compared(said.err)


def test_there_are_messages_to_check() -> None:
    assert len(messages()) > 4


SUMMARY = """philly  complete  max_min · highs-direct

rounds              1 301             jobs completed      480
rounds per CPU s    2 642             average JCT         14.0 h
CPU, wall           0.504 s, 0.492 s  JCT p50, p95        5.09 h, 75.8 h

phase     share of CPU time                CPU ms  ms/round  wall ms  calls
───────────────────────────────────────────────────────────────────────────
policy    ████████████████████████ 20.4 %     103    0.0790      100  1 302
lp_build  ███████████████▎         13.0 %    65.5    0.0503     64.3    218
other     █████▉                    5.0 %    25.2    0.0194     24.3      –

loop                                          504     0.387      492
Exclusive times. Named phases cover 95.0 % of the loop's wall time.
wall time                   s    0.504  0.880    ×1.75
"""
PAGE = f"text\n\n<!-- output: phasewise run toy -->\n```\n{SUMMARY}```\n\nmore\n"


def test_times_and_the_order_and_widths_that_follow_from_them_are_no_difference() -> None:
    rows = SUMMARY.splitlines()
    rows[8], rows[9] = (
        rows[9].replace("13.0 %    65.5", "28.1 %   1 655"),
        rows[8].replace("20.4 %     103", " 2.4 %    9.35"),
    )
    other = (
        "\n".join(rows)
        .replace("2 642", "52 642")
        .replace("0.504 s, 0.492 s", "1.50 s, 1.49 s")
        .replace("×1.75", "×17.5")
    )
    other = other.replace("95.0 %", "81.2 %").replace("504     0.387      492", "5 044    3.87    4 922")
    assert same_everywhere(other) == same_everywhere(SUMMARY)
    assert rewritten(PAGE, lambda _: other) == PAGE


@pytest.mark.parametrize(
    ("figure", "wrong"), [("14.0 h", "14.1 h"), ("75.8 h", "3.16 d"), ("1 302", "1 303"), ("policy ", "police ")]
)
def test_any_other_figure_is_written_anew(figure: str, wrong: str) -> None:
    drifted = PAGE.replace(figure, wrong)
    assert drifted != PAGE
    assert rewritten(drifted, lambda _: SUMMARY) == PAGE


def test_a_block_ends_where_its_mark_says_and_what_it_reads_is_made_by_the_page(tmp_path: Path, here: Callable) -> None:
    page = """
```console
$ phasewise run toy --rounds 3 --out runs/a
$ phasewise run toy --rounds 3 --policy fifo --out runs/b  # the other
```

<!-- output to "policy.name": phasewise compare runs/a runs/b -->
```
out of date
```

```python
import json
print(json.load(open("runs/b/run.json"))["summary"]["rounds"])
```

<!-- output: python -->
```
4
```
"""
    written = rewritten(page, Workbench(tmp_path, here).output)
    first, second = quotes(written)
    assert first.text.startswith("A  a  stopped\nB  b  stopped\n")
    assert re.search(r"\npolicy\.name  max_min_fairness_perf  fifo\n\Z", first.text)
    assert second.text == "3\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("phasewise compare runs/a runs/b", "runs/a is read, and no command above on the page makes it"),
        ("phasewise run nothing", "exit code 2"),
        ('to "nowhere": phasewise list scenarios', "no line of its output begins with 'nowhere'"),
    ],
)
def test_a_block_that_cannot_be_made_says_why(command: str, told: str, tmp_path: Path) -> None:
    mark = command if command.startswith("to ") else f": {command}"
    page = f"<!-- output{mark if mark.startswith(':') else ' ' + mark} -->\n```\nx\n```\n"
    with pytest.raises(QuoteError, match=told):
        rewritten(page, Workbench(tmp_path).output)
