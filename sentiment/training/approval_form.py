"""What a person is shown who is asked about a decision, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sentiment.training.gate import Decision

_CELL = str.maketrans({"|": "\\|", "\n": " ", "<": "&lt;", "`": "'", "[": "\\[", "*": "\\*", "_": "\\_"})
"""Names of slices come from data; they shall be text here, whatever they look like."""


def approval_form(decision: Decision, *, version: str, snapshot: str, cause: str, links: Mapping[str, str]) -> str:
    """Return the question, the accuracy on every slice, the gate's checks, and where to read more.

    Parameters
    ----------
    version, snapshot : str
        The challenger, and what it learned from.
    cause : str
        Why it was trained.
    links : mapping of str to str
        Addresses by what they lead to.
    """
    against = f"champion {decision.champion}" if decision.champion else "no champion yet"
    return "\n\n".join(
        [
            f"The gate said **{decision.outcome}**: {_text(decision.reason)}",
            f"Version **{version}** learned from {snapshot}, because of: {_text(cause)}. Judged against {against}.",
            " · ".join(f"[{name}]({address})" for name, address in links.items()),
            "#### Accuracy on the same held-out reviews",
            _slices(decision),
            "#### What the gate asked",
            _table(["check", "says", "reason"], [[c.name, c.outcome.value, c.reason] for c in decision.checks]),
            "*Approve* makes it champion, if the champion is still the same. *Reject* bars it until somebody approves "
            "it from the command line. Without an answer in time the champion stays.",
        ]
    )


def _slices(decision: Decision) -> str:
    rows = []
    for name, numbers in decision.slices.items():
        challenger, champion = numbers["challenger"], numbers.get("champion")
        change = "" if champion is None else f"{(challenger - champion) * 100:+.1f}"
        was = "" if champion is None else f"{champion:.1%}"
        rows.append([name, f"{numbers['rows']:,.0f}", was, f"{challenger:.1%}", change])
    return _table(["slice", "reviews", "champion", "challenger", "points"], rows)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: str) -> str:
    return value.translate(_CELL)
