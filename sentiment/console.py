"""What the command line shows: steps with progress, tables, errors."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from sentiment.errors import SentimentError

_LINE_SECONDS = 10


class Reporter:
    """Tells a person what happens (on standard error) and a script what came out (on standard output).

    Parameters
    ----------
    as_json : bool
        Write results as JSON for scripts, and nothing else on standard output.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self.output = Console(highlight=False, soft_wrap=not sys.stdout.isatty())

    def say(self, text: str) -> None:
        """Say one line."""
        self.errors.print(escape(text), style="dim" if self.errors.is_terminal else None)

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Show a long step while it runs, and how long it took.

        Yields a list; what the caller puts into it is shown behind the title when the step is done.
        """
        started, notes = time.monotonic(), list[str]()
        if self.errors.is_terminal:
            with self.errors.status(escape(title)):
                yield notes
        else:
            self.errors.print(f"[..] {escape(title)}")
            yield notes
        seconds = f"{time.monotonic() - started:.0f} s"
        mark = "[green]✓[/green]" if self.errors.is_terminal else escape("[ok]")
        tail = f": {escape('; '.join(notes))}" if notes else ""
        self.errors.print(f"{mark} {escape(title)}{tail} [dim]({seconds})[/dim]")

    @contextmanager
    def progress(self, title: str, unit: str) -> Iterator[Callable[..., None]]:
        """Show how much of a long step is done: a counter on a terminal, a line every ten seconds elsewhere.

        Yields a function, to be called with how many more are done and, if there is one, what is at hand.
        """
        shown, started, last, done = None, time.monotonic(), time.monotonic(), 0
        with ExitStack() as stack:
            if self.errors.is_terminal:
                shown = stack.enter_context(self.errors.status(escape(title)))

            def tell(more: int, at_hand: str = "") -> None:
                nonlocal done, last
                done, now = done + more, time.monotonic()
                said = f"{title}: {done:,} {unit}, {done / max(now - started, 1e-3):,.0f} a second"
                said += f" ({at_hand})" if at_hand else ""
                if shown is not None:
                    shown.update(escape(said))
                elif now - last >= _LINE_SECONDS:
                    last = now
                    self.errors.print(escape(f"[..] {said}"))

            yield tell
        self.say(f"{title}: {done:,} {unit} in {time.monotonic() - started:.0f} s")

    def result(self, data: Any, *lines: str) -> None:
        """Write a result: the data as JSON for scripts, the lines for people."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")
        else:
            for line in lines:
                self.output.print(escape(line))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table for people; nothing when results go to a script."""
        if self.as_json:
            return
        table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        self.output.print(table)

    def panel(self, title: str, facts: Mapping[str, str]) -> None:
        """Write a framed list of facts for people."""
        if self.as_json:
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in facts.items():
            grid.add_row(escape(name), escape(value))
        self.output.print(Panel(grid, title=escape(title), title_align="left"))

    def error(self, error: SentimentError) -> None:
        """Show what went wrong and what to do."""
        self.errors.print(f"[bold red]error:[/bold red] {escape(error.message)}")
        if error.fix:
            self.errors.print(f"  [bold]do:[/bold] {escape(error.fix)}")
