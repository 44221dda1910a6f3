"""The building blocks of the drift report's HTML: sections, tables, figures. All text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def section(title: str, body: str, *, name: str, kind: str = "") -> str:
    """Return a section under a heading; `name` is what links lead to."""
    css = f' class="{kind}"' if kind else ""
    heading = f'<h2 id="{name}-title">{escape(title)}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-title"{css}>{heading}{body}</section>'


def note(text: str) -> str:
    """Return a paragraph in small print."""
    return f'<p class="note">{escape(text)}</p>'


def items(lines: Iterable[str]) -> str:
    """Return the items of a list."""
    return "".join(f"<li>{escape(line)}</li>" for line in lines)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, kind: str = "") -> str:
    """Return a table; the cells are HTML, the first of each row is its head.

    On a narrow screen the rows become cards. The roles keep it a table for who has it read aloud.
    """
    head = "".join(f'<th role="columnheader" scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(_row(heads, cells) for cells in rows)
    return (
        f'<table role="table" class="{kind}"><caption>{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{body}</tbody></table>'
    )


def _row(heads: Sequence[str], cells: Sequence[str]) -> str:
    first, *others = cells
    named = "".join(
        f'<td role="cell" data-head="{escape(head)}">{cell}</td>' for head, cell in zip(heads[1:], others, strict=True)
    )
    return f'<tr role="row"><th role="rowheader" scope="row">{first}</th>{named}</tr>'


def numbers(heads: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> str:
    """Return the figures behind a picture, folded away; the cells are plain text."""
    escaped = ([escape(cell) for cell in row] for row in rows)
    return (
        f"<details><summary>The numbers</summary>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"{table(heads, escaped, caption=caption, kind='numbers')}</div></details>"
    )


def plot(shapes: str, *, label: str, height: int, ticks: Iterable[tuple[float, float, str, str]] = ()) -> str:
    """Return a picture that fills the width it is given.

    The shapes have coordinates from 0 to 100 both ways, from the upper left; the picture is stretched, its lines
    and its lettering are not. A tick is ``(x, y, where, text)``, `where` being a CSS class that says how the
    text stands to the point.
    """
    spans = "".join(
        f'<span class="{where}" style="left:{x:.4g}%;top:{y:.4g}%">{escape(text)}</span>' for x, y, where, text in ticks
    )
    return (
        f'<div class="plot" style="height:{height}px" role="img" aria-label="{escape(label)}">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true" focusable="false">{shapes}</svg>'
        f"{spans}</div>"
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Return a straight line."""
    return f'<path class="{css}" d="M{x1:.4g} {y1:.4g}L{x2:.4g} {y2:.4g}"/>'


def dot(x: float, y: float, css: str) -> str:
    """Return a round point: a line without length with round ends, which no stretching makes an ellipse."""
    return f'<path class="dot {css}" d="M{x:.4g} {y:.4g}h0"/>'


def bar(width: float, css: str) -> str:
    """Return a horizontal bar of `width`, 0 to 100."""
    return f'<rect class="{css}" width="{max(0.0, min(100.0, width)):.4g}" height="100"/>'
