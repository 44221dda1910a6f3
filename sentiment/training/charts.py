"""Charts as SVG: small, sharp at any size, shown by browsers and by MLflow, drawn without a plotting library.

A plotting library takes longer to import than a model takes to learn. The colours are Okabe and Ito's, which
colour-blind people can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

BLUE, ORANGE, INK, SOFT, LINE = "#0072b2", "#d55e00", "#1b2430", "#5b6777", "#d5dbe2"
WIDTH, HEIGHT = 800, 500
LEFT, RIGHT, TOP, BOTTOM = 84, 30, 84, 66

Point = tuple[float, float]


def percent(value: float) -> str:
    """Write a share: ``92%``, ``92.5%``."""
    return f"{value * 100:.1f}".removesuffix(".0") + "%"


def count(value: float) -> str:
    """Write a count: ``12,500``."""
    return f"{value:,.0f}"


@dataclass(frozen=True)
class Axis:
    """What is shown along one side; `logarithmic` axes begin above zero."""

    name: str
    low: float
    high: float
    ticks: Sequence[float]
    written: Callable[[float], str] = percent
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high end."""
        low, high, at = np.log([self.low, self.high, value]) if self.logarithmic else (self.low, self.high, value)
        return float((at - low) / (high - low)) if high > low else 0.5

    @classmethod
    def around(cls, name: str, values: Sequence[float], *, low: float = 0.0, high: float = 1.0) -> Axis:
        """Return an axis of shares that shows all values, with round ends within `low` to `high`."""
        least, most = min(values), max(values)
        step = _round_step(max(most - least, 0.02) / 4)
        start, end = max(low, np.floor(least / step) * step), min(high, np.ceil(most / step) * step)
        if end <= start:
            start = end - step
        return cls(name, float(start), float(end), _multiples(start, end, step))

    @classmethod
    def from_zero(cls, name: str, most: float) -> Axis:
        """Return an axis of counts from zero."""
        step = _round_step(max(most, 1) / 4)
        return cls(name, 0.0, float(np.ceil(max(most, 1) / step) * step), _multiples(0, max(most, 1), step), count)


class Chart:
    """Lines, dots and bars over two axes."""

    def __init__(self, title: str, subtitle: str, *, x: Axis, y: Axis) -> None:
        self._title, self._subtitle, self._x, self._y = title, subtitle, x, y
        self._parts: list[str] = []

    def line(self, points: Sequence[Point], colour: str = BLUE, *, dashed: bool = False) -> None:
        """Draw a line through points."""
        dash = ' stroke-dasharray="7 6"' if dashed else ""
        self._parts.append(
            f'<polyline points="{self._path(points)}" fill="none" stroke="{colour}" stroke-width="2.5"'
            f' stroke-linejoin="round"{dash}/>'
        )

    def band(self, low: Sequence[Point], high: Sequence[Point], colour: str = BLUE) -> None:
        """Fill what is between two lines."""
        path = self._path([*low, *reversed(high)])
        self._parts.append(f'<polygon points="{path}" fill="{colour}" fill-opacity=".18"/>')

    def dot(
        self, x: float, y: float, *, low: float, high: float, said: str, radius: float = 6, colour: str = BLUE
    ) -> None:
        """Draw a point with its interval; `said` is what a pointer over it reads."""
        px, py = self._px(x), self._py(y)
        self._parts.append(
            f'<g><title>{escape(said)}</title><path d="M{px:.1f} {self._py(low):.1f}V{self._py(high):.1f}'
            f'M{px - 6:.1f} {self._py(low):.1f}h12M{px - 6:.1f} {self._py(high):.1f}h12" stroke="{colour}" '
            f'stroke-width="2"/><circle cx="{px:.1f}" cy="{py:.1f}" r="{radius:.1f}" fill="{colour}"/></g>'
        )

    def bar(self, left: float, right: float, low: float, high: float, colour: str, *, said: str) -> None:
        """Draw a bar from `low` to `high`."""
        px, py = self._px(left) + 1, self._py(high)
        width, height = self._px(right) - px - 1, self._py(low) - py
        self._parts.append(
            f'<rect x="{px:.1f}" y="{py:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}">'
            f"<title>{escape(said)}</title></rect>"
        )

    def note(self, x: float, y: float, said: str, *, anchor: str = "middle", below: bool = False) -> None:
        """Write beside a point."""
        shift = 24 if below else -14
        self._parts.append(text(self._px(x), self._py(y) + shift, said, anchor=anchor, size=14, halo=True))

    def svg(self) -> str:
        """Return the chart."""
        return drawing(self._title, self._subtitle, [*self._grid(), *self._parts])

    def _grid(self) -> list[str]:
        bottom, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
        parts = [f'<path d="M{LEFT} {bottom}H{WIDTH - RIGHT}" stroke="{SOFT}"/>']
        for tick in self._y.ticks:
            y = self._py(tick)
            parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{LINE}"/>')
            parts.append(text(LEFT - 10, y + 5, self._y.written(tick), anchor="end", colour=SOFT))
        parts += [text(self._px(tick), bottom + 24, self._x.written(tick), colour=SOFT) for tick in self._x.ticks]
        parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, self._x.name))
        parts.append(text(22, middle, self._y.name, turned=True))
        return parts

    def _path(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self._px(x):.1f},{self._py(y):.1f}" for x, y in points)

    def _px(self, value: float) -> float:
        return LEFT + self._x.place(value) * (WIDTH - LEFT - RIGHT)

    def _py(self, value: float) -> float:
        return HEIGHT - BOTTOM - self._y.place(value) * (HEIGHT - TOP - BOTTOM)


def drawing(title: str, subtitle: str, parts: Sequence[str], *, height: int = HEIGHT) -> str:
    """Return an SVG document with a title, a subtitle and what is drawn below them."""
    heading = [text(24, 34, title, anchor="start", size=20, bold=True)]
    heading.append(text(24, 60, subtitle, anchor="start", colour=SOFT))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif"><title>{escape(title)}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join([*heading, *parts])}</svg>\n'
    )


def text(
    x: float,
    y: float,
    said: str,
    *,
    anchor: str = "middle",
    size: int = 15,
    colour: str = INK,
    bold: bool = False,
    halo: bool = False,
    turned: bool = False,
) -> str:
    """Return text at a place; `halo` keeps it readable over lines."""
    style = ' font-weight="600"' if bold else ""
    style += ' stroke="#fff" stroke-width="4" paint-order="stroke"' if halo else ""
    style += f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{style}>'
        f"{escape(said)}</text>"
    )


def _round_step(step: float) -> float:
    """Return the next larger number of the kind 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999))


def _multiples(start: float, end: float, step: float) -> list[float]:
    return [round(number * step, 10) for number in range(int(np.ceil(start / step - 1e-9)), int(end / step + 1e-9) + 1)]
