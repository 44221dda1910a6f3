"""The profile of a snapshot as one HTML page that opens offline: bars as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from sentiment.reviews.profile import Profile, profile_snapshot
from sentiment.reviews.table import parse_snapshot
from sentiment.settings import Settings
from sentiment.storage import Storage

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}svg{width:100%;height:auto}"
    "text{font-size:13px;fill:currentColor}rect{fill:#3b6fb6}code{overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#15181c}rect{fill:#6fa3e8}}"
)
_ROW, _NAME, _BAR, _WIDTH = 24, 190, 440, 760


def render(profile: Profile) -> str:
    """Return the page."""
    share = profile.look_alikes / max(1, profile.sampled)
    parts = [
        _section("Labels", _bars(profile.labels, "Reviews by label")),
        _section("Sources", _bars(_largest(profile.sources), "Reviews by source")),
        _section("Lengths in characters", _bars(profile.lengths, "Reviews by length")),
        _section("Scripts", _bars(profile.scripts, "Sampled reviews by script")),
        _section(
            "Look-alikes",
            f"<p>{profile.look_alikes:,} of {profile.sampled:,} sampled reviews ({share:.1%}) begin with the same "
            "60 characters as another. Exact duplicates never enter.</p>",
        ),
        *(
            _section(f"Words that tell “{label}”", _bars(words, f"z-scores of the words of {label}", decimals=1))
            for label, words in profile.words.items()
            if words
        ),
    ]
    title = f"{profile.snapshot}: {profile.rows:,} reviews"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>Digest <code>{profile.digest}</code></p>{''.join(parts)}</body></html>\n"
    )


def publish_profile(settings: Settings, snapshot: str) -> str:
    """Profile a snapshot, such as ``reviews@v12``; return the page's path under the storage root."""
    storage = Storage(settings)
    return write_profile(storage, profile_snapshot(storage, parse_snapshot(snapshot)))


def write_profile(storage: Storage, profile: Profile) -> str:
    """Write the page under ``reports/data/`` and return its path under the root."""
    path = f"reports/data/{profile.snapshot.replace('@', '-')}.html"
    storage.write(path, render(profile).encode())
    return path


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _bars(counts: Mapping[str, float], title: str, *, decimals: int = 0) -> str:
    if not counts:
        return "<p>None.</p>"
    top = max(counts.values()) or 1
    total = sum(counts.values()) or 1
    rows = []
    for place, (name, count) in enumerate(counts.items()):
        y = place * _ROW
        said = f"{count:,.{decimals}f}" + ("" if decimals else f" ({count / total:.1%})")
        rows.append(
            f'<text x="{_NAME - 8}" y="{y + 16}" text-anchor="end">{escape(name[:28])}</text>'
            f'<rect x="{_NAME}" y="{y + 4}" width="{max(1, round(_BAR * count / top))}" height="16" rx="2"/>'
            f'<text x="{_NAME + round(_BAR * count / top) + 8}" y="{y + 16}">{said}</text>'
        )
    size = f'viewBox="0 0 {_WIDTH} {_ROW * len(counts)}"'
    return f'<svg {size} role="img"><title>{escape(title)}</title>{"".join(rows)}</svg>'


def _largest(counts: Mapping[str, int], most: int = 12) -> dict[str, int]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[most:])
    return dict(ordered[:most]) | ({"(others)": rest} if rest else {})
