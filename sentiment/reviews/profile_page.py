"""The profile of a snapshot as one HTML page that opens offline: tables with bars, which every reader can read."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from html import escape
from importlib.resources import files

from sentiment.reviews.profile import Example, Profile, profile_snapshot
from sentiment.reviews.profile_notes import worth_a_look
from sentiment.reviews.table import parse_snapshot
from sentiment.reviews.versions import UNLABELLED
from sentiment.settings import Settings
from sentiment.storage import Storage

_MOST_ROWS = 10
_LONGEST_NAME = 32
_WIDTH, _HEIGHT, _TOP = 760, 190, 24


def render(profile: Profile) -> str:
    """Return the page."""
    title = f"Profile of {profile.snapshot}"
    sections = (
        _section("Labels", _bars(profile.labels, "Reviews by label", "label")),
        _section("Sources", _bars(_largest(profile.sources), "Reviews by source", "source")),
        _section("Length", _lengths(profile), note="Reviews by length in characters.", wide=True),
        _section(
            "Languages", _bars(_largest(profile.languages), "Reviews by language", "language"), note=_sample(profile)
        ),
        _section(
            "Scripts",
            _bars(_largest(profile.scripts), "Reviews by script", "script"),
            note=f"Where most of the letters come from; {profile.sampled:,} reviews.",
        ),
        _section("Words that tell the labels apart", _words(profile), wide=True),
        _section("Near copies", _copies(profile), wide=True),
        _section("Refused", _refused(profile), note="Rows in the quarantine when this page was written.", wide=True),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head><body>"
        f'<header><p class="eyebrow">{escape(title)}</p><h1>{_headline(profile)}</h1>'
        f'<p class="quiet">Digest <code>{profile.digest}</code></p></header>'
        f'<main>{_facts(profile)}{_look(profile)}<div class="grid">{"".join(sections)}</div></main>'
        "<footer>Samples are chosen by a hash of the text: the same reviews give the same page, but for what was "
        "refused. Word scores are z-scores of the log-odds. Written by <code>sentiment data profile</code>.</footer>"
        "</body></html>\n"
    )


def publish_profile(settings: Settings, snapshot: str) -> str:
    """Profile a snapshot, such as ``reviews@v12``; return the page's path under the storage root."""
    storage = Storage(settings)
    return write_profile(storage, profile_snapshot(storage, parse_snapshot(snapshot)))


def write_profile(storage: Storage, profile: Profile) -> str:
    """Write the page under ``reports/data/`` and return its path under the root."""
    path = f"reports/data/{profile.snapshot.replace('@', '-')}.html"
    storage.write(path, render(profile).encode(errors="replace"))
    return path


def _style() -> str:
    return (files("sentiment.reviews") / "profile.css").read_text()


def _headline(profile: Profile) -> str:
    sources = len(profile.sources)
    return f"{profile.rows:,} reviews from {sources:,} {'source' if sources == 1 else 'sources'}"


def _facts(profile: Profile) -> str:
    labelled = profile.rows - profile.labels.get(UNLABELLED, 0)
    language = max(profile.languages, key=lambda name: profile.languages[name], default="none")
    refused = sum(sum(reasons.values()) for reasons in profile.refused.values())
    facts = (
        ("Labelled", _share(labelled, profile.rows), f"{labelled:,} reviews"),
        ("Held out", _share(profile.splits.get("test", 0), profile.rows), "never trained on"),
        (
            "Language",
            language,
            _share(profile.languages.get(language, 0), sum(profile.languages.values())) + " of a sample",
        ),
        (
            "Near copies",
            _share(profile.near_copies, profile.compared),
            f"{profile.near_copies:,} of {profile.compared:,}",
        ),
        ("Refused", f"{refused:,}", "rows in the quarantine"),
    )
    items = (
        f"<div><dt>{name}</dt><dd>{escape(fact)}<small>{escape(more)}</small></dd></div>" for name, fact, more in facts
    )
    return f'<dl class="facts">{"".join(items)}</dl>'


def _look(profile: Profile) -> str:
    notes = worth_a_look(profile)
    if not notes:
        return '<p class="fine">✓ Nothing stands out.</p>'
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="look"><h2>Worth a look</h2><ul>{items}</ul></section>'


def _section(title: str, content: str, *, note: str = "", wide: bool = False) -> str:
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section{' class=wide' if wide else ''}><h2>{escape(title)}</h2>{said}{content}</section>"


def _bars(counts: Mapping[str, float], caption: str, what: str, *, scores: bool = False) -> str:
    """Return a table whose rows have a bar each; the bar repeats the number, so readers aloud skip it."""
    if not counts:
        return '<p class="quiet">None.</p>'
    total = sum(counts.values()) or 1
    whole = max(counts.values()) if scores else total
    rows = "".join(
        f'<tr><th scope="row" class="name">{_name(name)}</th><td class="bar">{_bar(count / whole)}</td>'
        + (
            f'<td class="number">{count:.1f}</td></tr>'
            if scores
            else f'<td class="number">{count:,}</td><td class="share">{_share(count, total)}</td></tr>'
        )
        for name, count in counts.items()
    )
    columns = f"{what}, bar, {'score' if scores else 'number, share'}"
    return f"<table><caption>{escape(f'{caption}: {columns}')}</caption><tbody>{rows}</tbody></table>"


def _name(name: str) -> str:
    """Return a name as HTML that breaks in good places, and is not endless."""
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    return escape(shown).replace("_", "_<wbr>").replace(".", ".<wbr>")


def _bar(share: float) -> str:
    width = f"{max(0.4, 100 * share):.1f}" if share else "0"
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect width="{width}" height="10"/></svg>'
    )


def _lengths(profile: Profile) -> str:
    """Return a histogram with its numbers as a table that opens; on a narrow screen the table alone."""
    spans = list(profile.lengths.items())
    while len(spans) > 1 and not spans[-1][1]:
        spans.pop()
    top = max((count for _, count in spans), default=0) or 1
    step, parts = _WIDTH / len(spans), []
    for place, (span, count) in enumerate(spans):
        height = _HEIGHT * count / top
        middle = round(step * (place + 0.5), 1)
        parts.append(
            f'<rect x="{place * step + 6:.1f}" y="{_TOP + _HEIGHT - height:.1f}" width="{step - 12:.1f}" '
            f'height="{height:.1f}" rx="3"/>'
            f'<text class="count" x="{middle}" y="{_TOP + _HEIGHT - height - 7:.1f}" text-anchor="middle">'
            f"{_share(count, profile.rows) if count else ''}</text>"
            f'<text x="{middle}" y="{_TOP + _HEIGHT + 20}" text-anchor="middle">{escape(span.split(" ")[0])}+</text>'
        )
    base = f'<line x1="0" x2="{_WIDTH}" y1="{_TOP + _HEIGHT}" y2="{_TOP + _HEIGHT}"/>'
    picture = (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_TOP + _HEIGHT + 28}" role="img">'
        f"<title>Reviews by length in characters; the numbers are below</title>{''.join(parts)}{base}</svg>"
    )
    table = _bars(dict(spans), "Reviews by length in characters", "characters")
    folded = f"<details><summary>The numbers</summary>{table}</details>"
    return f'<div class="broad">{picture}{folded}</div><div class="narrow">{table}</div>'


def _words(profile: Profile) -> str:
    tables = [
        f"<div><h3>{escape(label)}</h3>{_bars(words, f'Words of {label}', 'word', scores=True)}</div>"
        for label, words in profile.words.items()
        if words
    ]
    if not tables:
        return '<p class="quiet">None: it takes two labels, and more reviews.</p>'
    return f'<div class="columns">{"".join(tables)}</div>'


def _copies(profile: Profile) -> str:
    said = (
        f"{profile.near_copies:,} of {profile.compared:,} reviews share at least four fifths of their runs of three "
        "words with another. Exact copies never enter; near ones are kept."
    )
    return f'<p class="note">{said}</p>{"".join(map(_pair, profile.examples))}'


def _pair(pair: Example) -> str:
    same = pair.labels[0] == pair.labels[1]
    labels = escape(f"both {pair.labels[0]}" if same else " and ".join(pair.labels))
    told = labels if same else f'<span class="differs">different labels: {labels}</span>'
    quotes = "".join(f"<blockquote>{text}</blockquote>" for text in _marked(pair.one, pair.other))
    return (
        f'<figure class="pair"><figcaption>{min(pair.similarity, 0.99):.0%} alike, {told}</figcaption>'
        f'<div class="columns">{quotes}</div></figure>'
    )


def _marked(one: str, other: str) -> tuple[str, str]:
    """Return two texts as HTML with the words marked that differ."""
    sides: tuple[list[str], list[str]] = ([], [])
    words = one.split(), other.split()
    for same, a, b, c, d in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for side, part in zip(sides, (words[0][a:b], words[1][c:d]), strict=True):
            if part:
                text = escape(" ".join(part))
                side.append(text if same == "equal" else f"<mark>{text}</mark>")
    return " ".join(sides[0]), " ".join(sides[1])


def _refused(profile: Profile) -> str:
    if not profile.refused:
        return '<p class="quiet">Nothing was refused.</p>'
    reasons: dict[str, int] = {}
    for counts in profile.refused.values():
        for reason, count in counts.items():
            reasons[reason] = reasons.get(reason, 0) + count
    by_source = {source: sum(counts.values()) for source, counts in profile.refused.items()}
    tables = (("By reason", _largest(reasons), "reason"), ("By source", _largest(by_source), "source"))
    return '<div class="columns">' + "".join(_titled(*table) for table in tables) + "</div>"


def _titled(title: str, counts: Mapping[str, int], what: str) -> str:
    return f"<div><h3>{title}</h3>{_bars(counts, f'Refused rows, {title.lower()}', what)}</div>"


def _sample(profile: Profile) -> str:
    return f"Of {sum(profile.languages.values()):,} reviews; unknown where it is not certain."


def _largest(counts: Mapping[str, int], most: int = _MOST_ROWS) -> dict[str, int]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[most:])
    return dict(ordered[:most]) | ({f"{len(ordered) - most:,} others": rest} if rest else {})


def _share(count: float, total: float) -> str:
    """Return a share in percent; what is there is never shown as nothing, nor most as all."""
    share = count / total if total else 0.0
    if share in (0, 1):
        return f"{share:.0%}"
    return "< 0.1%" if share < 0.0005 else "> 99.9%" if share > 0.9995 else f"{share:.1%}"
