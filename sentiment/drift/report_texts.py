"""The words, the texts and the slices of a drift report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby

from sentiment.drift.explanation import Explanation, Separation
from sentiment.drift.moved_words import MovedWord
from sentiment.drift.report_html import bar, note, plot, section, table
from sentiment.drift.report_signals import key
from sentiment.drift.slices import FEWEST, Slice
from sentiment.features.clean import MARKS, straight

EXAMPLE_CHARACTERS = 400

_TOO_FEW = "\N{EN DASH}"
_LEAD = 60  # characters shown before the first word that is marked
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_KINDS = {"source": "Source", "answer": "The champion's answer", "length": "Length", "language": "Language"}


def words(explanation: Explanation) -> str:
    """Return the words that moved both ways, with their rates before and now."""
    rose, fell = explanation.moved.rose, explanation.moved.fell
    said = _separation(explanation.separation)
    if not (rose or fell):
        return section(
            "Words that moved", said + note("No word became more or less frequent beyond chance."), name="words"
        )
    widest = max(max(item.reference, item.current) for item in (*rose, *fell))
    lists = _word_list("More frequent now", rose, widest) + _word_list("Less frequent now", fell, widest)
    explained = note(
        "Times in a thousand words, before and now. Only words and phrases that moved beyond chance are shown."
    )
    css = "columns" if rose and fell else "one-way"
    missing = "" if rose and fell else note(f"No word became {'less' if rose else 'more'} frequent beyond chance.")
    return section(
        "Words that moved", f'{said}{key()}<div class="{css}">{lists}</div>{missing}{explained}', name="words"
    )


def _separation(found: Separation | None) -> str:
    if found is None:
        return ""
    said = (
        f"Given one reference text and one current text, a classifier finds the current one in "
        f"<strong>{found.auc:.0%}</strong> of cases ({found.low:.0%} to {found.high:.0%}; 50% is a guess)."
    )
    meaning = (
        "So the two can be told apart. That alone does not mean that the champion is wrong more often: it can be right "
        "about texts that look new."
        if found.is_clear
        else "So the two cannot be told apart by their words."
    )
    return f"<p>{said} {meaning}</p>"


def _word_list(title: str, moved: Sequence[MovedWord], widest: float) -> str:
    rows = "".join(
        f"<li><strong>{escape(shown(item.word))}</strong>"
        f'<span class="figures">{_rate(item.reference)} → <strong>{_rate(item.current)}</strong></span>'
        f"<small>{_texts(item)}</small>{_pair(item, widest)}</li>"
        for item in moved
    )
    return f'<div><h3>{title}</h3><ul class="moved">{rows}</ul></div>' if rows else ""


def _pair(item: MovedWord, widest: float) -> str:
    old, new = (100 * rate / widest for rate in (item.reference, item.current))
    shapes = (
        f'<rect class="reference" width="{old:.4g}" height="46"/>'
        f'<rect class="current" y="54" width="{new:.4g}" height="46"/>'
    )
    return plot(
        bar(100, "track") + shapes, label=f"{_rate(item.reference)} before, {_rate(item.current)} now", height=11
    )


def _texts(item: MovedWord) -> str:
    return f"in {_share(item.reference_texts)} of the texts before, {_share(item.current_texts)} now"


def _rate(value: float) -> str:
    return "0" if value == 0 else "< 0.01" if value < 0.005 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _share(value: float) -> str:
    return "0%" if value == 0 else "< 0.1%" if value < 0.0005 else f"{value:.1%}" if value < 0.1 else f"{value:.0%}"


def shown(word: str) -> str:
    """Return a phrase of tokens as it is written: without a space before a comma or around a slash."""
    return re.sub(r" ?/ ?", "/", re.sub(r" ([,.!?;:)])", r"\1", word))


def examples(explanation: Explanation) -> str:
    """Return texts that show what is new, and what is gone, with the words that moved marked."""
    columns = (
        ("New: current texts most unlike the reference", explanation.arrived, explanation.moved.rose, "current"),
        ("Gone: reference texts whose like is missing now", explanation.vanished, explanation.moved.fell, "reference"),
    )
    filled = [
        f"<div><h3>{title}</h3>{''.join(_quote(text, moved, css) for text in texts)}</div>"
        for title, texts, moved, css in columns
        if texts
    ]
    if not filled:
        return ""
    body = f'<div class="columns">{"".join(filled)}</div>'
    explained = note("Words that moved are marked. Long texts are shortened; personal data was taken out.")
    return section("Texts that show it", body + explained, name="texts")


def _quote(text: str, moved: Sequence[MovedWord], css: str) -> str:
    return f'<blockquote class="{css}">{marked(text, [item.word for item in moved])}</blockquote>'


def marked(text: str, moved: Sequence[str], *, limit: int = EXAMPLE_CHARACTERS) -> str:
    """Return a text as HTML with the moved words marked, cut to the part that has most of them."""
    plain = " ".join(_BREAK.sub(" ", text).split())
    found = [match.span() for match in _pattern(moved).finditer(straight(plain))] if moved else []
    begin, end = _whole_words(plain, _best_cut(found, len(plain), limit), limit)
    pieces, at = ["…" if begin else ""], begin
    for start, stop in found:
        if begin <= start and stop <= end:
            pieces += [escape(plain[at:start]), f"<mark>{escape(plain[start:stop])}</mark>"]
            at = stop
    pieces += [escape(plain[at:end].rstrip()), "…" if end < len(plain) else ""]
    return "".join(pieces)


def _best_cut(found: Sequence[tuple[int, int]], size: int, limit: int) -> int:
    if size <= limit or not found:
        return 0
    cuts = [max(0, min(start - _LEAD, size - limit)) for start, _ in found]
    return max(cuts, key=lambda cut: (sum(cut <= a and b <= cut + limit for a, b in found), -cut))


def _whole_words(text: str, begin: int, limit: int) -> tuple[int, int]:
    """Return where the part of a text that is shown begins and ends, without half words where that is possible."""
    end = min(len(text), begin + limit)
    if begin:
        begin = text.find(" ", begin, begin + _LEAD // 2) + 1 or begin
    if end < len(text):
        end = max(text.rfind(" ", end - _LEAD // 2, end), 0) or end
    return begin, end


def _pattern(moved: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(moved, key=lambda word: (-len(word), word))
    return re.compile("|".join(_spelled(word.split()) for word in longest_first), re.IGNORECASE)


def _spelled(tokens: Sequence[str]) -> str:
    """Return a pattern for tokens that follow each other, with anything between that is no token."""
    spelled = ""
    for i, token in enumerate(tokens):
        is_mark = token in MARKS
        if i:
            between_words = not is_mark and tokens[i - 1] not in MARKS
            spelled += rf"[^\w'{re.escape(MARKS)}]{'+' if between_words else '*'}"
        spelled += re.escape(token) if is_mark else rf"(?<![\w']){re.escape(token)}(?![\w'])"
    return spelled


def slice_table(found: Sequence[Slice]) -> str:
    """Return the slices, kind by kind; empty where there are none."""
    if not found:
        return ""
    heads = ("", "Share before", "Share now", "Mean score before", "Mean score now", "Unlike the reference")
    scored = any(each.reference_score is not None or each.current_score is not None for each in found)
    kept = [place for place in range(len(heads)) if scored or place not in {3, 4}]
    tables = ""
    for kind, group in groupby(found, key=lambda each: each.kind):
        rows = [[cells[place] for place in kept] for cells in map(_slice_row, group)]
        shown_heads = [_KINDS[kind], *(heads[place] for place in kept[1:])]
        tables += table(shown_heads, rows, caption=f"By {_KINDS[kind].lower()}", kind="slices")
    explained = note(
        "Unlike the reference: the share of the current texts that are stranger than 95% of the reference; 5% is "
        f"expected where nothing moved. A dash stands for fewer than {FEWEST} rows."
    )
    return section("Parts of the traffic", tables + explained, name="slices")


def _slice_row(each: Slice) -> tuple[str, ...]:
    unlike = _TOO_FEW if each.unlike is None else f"{each.unlike:.0%}"
    return (
        escape(each.value),
        f"{each.reference_share:.1%}",
        f"{each.current_share:.1%}",
        *(_TOO_FEW if score is None else f"{score:.2f}" for score in (each.reference_score, each.current_score)),
        f"<strong>{unlike}</strong>" if each.unlike is not None and each.unlike >= 0.15 else unlike,
    )
