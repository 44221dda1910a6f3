"""A document said once and written twice: as one HTML page that opens offline, and as Markdown.

Whatever is put into a document is text: both writers escape it, wherever it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from urllib.parse import quote


@dataclass(frozen=True)
class Paragraph:
    """Running text; `soft` is set back."""

    text: str
    soft: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    values: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """Rows under heads. The first column is text; of the others, those in `words` are, and the rest are figures."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[int] = ()


@dataclass(frozen=True)
class Code:
    """Lines to copy."""

    text: str


@dataclass(frozen=True)
class Picture:
    """An SVG of ours for the page; in Markdown its caption and the same figures as a table."""

    svg: str
    caption: str
    figures: Table


Block = Paragraph | Items | Facts | Table | Code | Picture


@dataclass(frozen=True)
class Section:
    """A title and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Banner:
    """What a reader shall see first; `kind` is ``good``, ``bad`` or ``open``."""

    kind: str
    word: str
    text: str


@dataclass(frozen=True)
class Document:
    """A title, what it is about in one line, a banner and sections."""

    title: str
    subtitle: str
    banner: Banner
    sections: Sequence[Section]


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_ICONS = {
    "good": '<circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/>',
    "bad": '<circle cx="12" cy="12" r="10"/><path d="m8.5 8.5 7 7m0-7-7 7"/>',
    "open": '<circle cx="12" cy="12" r="10"/><path d="M9 9.3a3 3 0 1 1 4.2 2.8c-.8.3-1.2.9-1.2 1.7M12 17v.2"/>',
}


def to_html(document: Document) -> str:
    """Write a page without scripts that loads nothing."""
    style = files("sentiment.training").joinpath("document.css").read_text(encoding="utf-8")
    sections = "\n".join(
        f'<section id="{_anchor(section.title)}"><h2>{escape(section.title)}</h2>'
        f"{''.join(map(_html, section.blocks))}</section>"
        for section in document.sections
    )
    links = "".join(
        f'<li><a href="#{_anchor(section.title)}">{escape(section.title)}</a></li>' for section in document.sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(document.title)}</title><style>{style}</style></head>\n<body><main>"
        f"<h1>{escape(document.title)}<small>{escape(document.subtitle)}</small></h1>\n"
        f"{_banner(document.banner)}\n<nav><ol>{links}</ol></nav>\n{sections}\n</main></body></html>\n"
    )


def to_markdown(document: Document) -> str:
    """Write Markdown that shows the same on GitHub, in MLflow and in Airflow."""
    parts = [f"# {marked(document.title)}", marked(document.subtitle)]
    parts.append(f"> **{marked(document.banner.word)}** · {marked(document.banner.text)}")
    for section in document.sections:
        parts += [f"## {marked(section.title)}", *map(_markdown, section.blocks)]
    return "\n\n".join(parts) + "\n"


def marked(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]|~#])", r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")


def _html(block: Block) -> str:
    match block:
        case Paragraph(text, soft):
            return f"<p{' class=soft' if soft else ''}>{escape(text)}</p>"
        case Items(lines):
            return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
        case Facts(values):
            pairs = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items())
            return f"<dl>{''.join(pairs)}</dl>"
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Picture(svg, caption, _):
            return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        case Table():
            return _html_table(block)


def _html_table(table: Table) -> str:
    def row(tag: str, cells: Sequence[str]) -> str:
        written = []
        for index, cell in enumerate(cells):
            kind = "" if not index else ' class="word"' if index in table.words else ' class="number"'
            scope = ' scope="col"' if tag == "th" else ""
            written.append(f"<{tag}{scope}{kind}>{escape(cell)}</{tag}>")
        return f"<tr>{''.join(written)}</tr>"

    body = "".join(row("td", cells) for cells in table.rows)
    return (
        f'<div class="scroll"><table><thead>{row("th", table.heads)}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )  # fmt: skip


def _banner(banner: Banner) -> str:
    return (
        f'<section class="banner {banner.kind}" role="status">'
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true">{_ICONS[banner.kind]}</svg>'
        f"<div><strong>{escape(banner.word)}</strong><p>{escape(banner.text)}</p></div></section>"
    )


def _markdown(block: Block) -> str:
    match block:
        case Paragraph(text, _):
            return marked(text)
        case Items(lines):
            return "\n".join(f"- {marked(line)}" for line in lines)
        case Facts(values):
            return "\n".join(f"- {marked(name)}: **{marked(value)}**" for name, value in values.items())
        case Code(text):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{fence}\n{text}\n{fence}"
        case Picture(_, caption, figures):
            return f"{marked(caption)}\n\n{_markdown(figures)}"
        case Table(heads, rows, words):
            ruler = ["---" if not index or index in words else "--:" for index in range(len(heads))]
            written = [[marked(cell) for cell in cells] for cells in (heads, *rows)]
            return "\n".join(f"| {' | '.join(cells)} |" for cells in (written[0], ruler, *written[1:]))


def _anchor(title: str) -> str:
    return quote("-".join(re.findall(r"\w+", title.lower())))
