"""The outputs that the documentation quotes, made by the commands on its pages: ``python -m phasewise.bench.quoting``.

A page marks a block that quotes an output, and everything that is needed for it stands on the page as well::

    <!-- output to "utilisation": phasewise compare runs/a runs/b -->

``make profile`` and ``phasewise ...`` are run; ``python`` stands for the snippet above the block. What a marked command
reads under ``runs/`` is made first, by the command above it that has it as ``--out``. ``to "..."`` ends the block with
the line that begins so. Times are measured and differ from run to run; everything else is the same on every machine.
A block is written anew where that has changed (with ``--all``, every block).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

ROOT: Final = Path(__file__).resolve().parents[1]
MAIN: Final = "from phasewise.bench.cli.main import main; main()"
PROFILE: Final = ("profile", "philly")  # what `make profile` runs

_MARKED = re.compile(r'^<!-- output(?: to "([^"]+)")?: (.+?) -->\n```\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (phasewise .*|make profile$)", re.MULTILINE)
_READ = re.compile(r"runs/[\w-]+")

_MEASURED_FACT = re.compile(r"^(rounds per CPU s|CPU, wall|peak memory)  \S.*?(?=  [a-zA-Z]|$)")
_MEASURED_ROW = re.compile(r"^(rounds per CPU second|wall time|CPU time|peak RSS)  .*")
_PHASE = re.compile(r"^(\w+)  ?[█▏▎▍▌▋▊▉]* *[\d.]+ %  .*  (\S.*)$")
_COVERED = re.compile(r"(?<=^Exclusive times\. Named phases cover )[\d.]+ %")


class QuoteError(Exception):
    """A marked block cannot be made; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A marked block of a page.

    Attributes
    ----------
    page
        The page's text.
    command
        What makes the block.
    last
        How its last line begins, empty for the whole output.
    text
        What stands there.
    start, end
        Where ``text`` stands in the page.
    """

    page: str
    command: str
    last: str
    text: str
    start: int
    end: int


def quotes(page: str) -> Iterator[Quote]:
    """Yield the marked blocks of a page."""
    for found in _MARKED.finditer(page):
        yield Quote(page, found[2], found[1] or "", found[3], found.start(3), found.end(3))


@dataclass(frozen=True, slots=True)
class Workbench:
    """A folder in which commands of the documentation run, each of them once.

    Attributes
    ----------
    folder
        Where they run.
    own
        Returns what a command of our own prints, given its words; None means a process of its own for each.
    """

    folder: Path
    own: Callable[[Sequence[str]], str] | None = None
    printed: dict[str, str] = field(default_factory=dict)

    def output(self, quote: Quote) -> str:
        """Return what the command of a block prints, as far as the block quotes it.

        Raises
        ------
        QuoteError
            Where a command fails, nothing on the page makes what it reads, or no line begins as the last should.
        """
        lines = [line.rstrip() for line in self._printed(quote.command, quote.page[: quote.start]).splitlines()]
        if not quote.last:
            return "\n".join(lines) + "\n"
        for index, line in enumerate(lines):
            if line.startswith(quote.last):
                return "\n".join(lines[: index + 1]) + "\n"
        raise QuoteError(f"{quote.command}: no line of its output begins with {quote.last!r}")

    def _printed(self, command: str, above: str) -> str:
        """Return what a command prints; ``above`` is what stands on the page before it."""
        snippet = command == "python"
        text = _SNIPPET.findall(above)[-1] if snippet else command
        made = "" if snippet else _made_by(command)
        if text not in self.printed:
            for needed in sorted(set(_READ.findall(text)) - {made}):
                self._make(needed, above)
            self.printed[text] = self._run(["-c", text]) if snippet else self._own(_words(command))
        return self.printed[text]

    def _make(self, needed: str, above: str) -> None:
        """Make a run directory, unless it is there, by the last command above that writes it."""
        if (self.folder / needed).exists():
            return
        for command in reversed(_COMMAND.findall(above)):
            if _made_by(command) == needed:
                self._printed(command, above)
                return
        raise QuoteError(f"{needed} is read, and no command above on the page makes it")

    def _own(self, words: Sequence[str]) -> str:
        return self.own(words) if self.own is not None else self._run(["-c", MAIN, *words])

    def _run(self, arguments: Sequence[str]) -> str:
        command = [sys.executable, "-P", *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise QuoteError(f"{shlex.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout


def _made_by(command: str) -> str:
    """Return the run directory that a command writes, empty where it writes none of a known name."""
    words = shlex.split(command, comments=True)
    if words == ["make", "profile"]:
        return f"runs/{PROFILE[1]}-1"
    return words[words.index("--out") + 1] if "--out" in words else ""


def _words(command: str) -> list[str]:
    program, *words = shlex.split(command, comments=True)
    return list(PROFILE) if program == "make" else words


def same_everywhere(output: str) -> str:
    """Return an output without what was measured, and without the widths and the order that follow from it."""
    lines: list[str] = []
    phases: list[str] = []
    for line in output.splitlines():
        plain = re.sub(r"─+", "─", re.sub(r" {2,}", "  ", line.rstrip()))
        if phase := _PHASE.match(plain):
            phases.append(f"{phase[1]}  {phase[2]}")
            continue
        lines += sorted(phases)
        phases.clear()
        plain = _MEASURED_FACT.sub(r"\1", _MEASURED_ROW.sub(r"\1", _COVERED.sub("", plain)))
        lines.append("loop" if plain.startswith("loop  ") else plain)
    return "\n".join([*lines, *sorted(phases)])


def rewritten(page: str, output: Callable[[Quote], str], *, every: bool = False) -> str:
    """Return a page with the blocks made anew that are not the same any more, or with all of them."""
    parts, at = [], 0
    for quote in quotes(page):  # from the top: what a reader would have done before
        made = output(quote)
        changed = every or same_everywhere(made) != same_everywhere(quote.text)
        parts += [page[at : quote.start], made if changed else quote.text]
        at = quote.end
    return "".join([*parts, page[at:]])


def pages() -> list[Path]:
    """Return the pages of the documentation that mark a block."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if any(quotes(page.read_text("utf-8")))]


@click.command()
@click.option("--all", "every", is_flag=True, help="Write every block anew, times included.")
@click.argument("only", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(only: tuple[Path, ...], every: bool) -> None:
    """Make the outputs that the documentation quotes anew, of all pages or of those named."""
    for page in only or pages():
        before = page.read_text("utf-8")
        with TemporaryDirectory(prefix="phasewise-") as folder:
            try:
                after = rewritten(before, Workbench(Path(folder)).output, every=every)
            except QuoteError as error:
                raise click.ClickException(f"{page}: {error}") from error
        page.write_text(after, "utf-8")
        click.echo(f"{page}: {'as it was' if after == before else 'written anew'}")


if __name__ == "__main__":
    main()
