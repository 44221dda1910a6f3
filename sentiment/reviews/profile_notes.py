"""What stands out in a profile, in sentences. Limits are round numbers for the eye; nothing is decided by them."""

from __future__ import annotations

from collections.abc import Iterator

from sentiment.reviews.language import UNKNOWN
from sentiment.reviews.profile import Profile
from sentiment.reviews.versions import UNLABELLED

_LOPSIDED, _COPIED, _FOREIGN, _UNLABELLED_SHARE = 0.8, 0.02, 0.05, 0.5
_ENOUGH = 20


def worth_a_look(profile: Profile) -> list[str]:
    """Return what a person should look at, most serious first; nothing if nothing stands out."""
    return [*_labels(profile), *_copies(profile), *_languages(profile)]


def _labels(profile: Profile) -> Iterator[str]:
    labelled = {label: count for label, count in profile.labels.items() if label != UNLABELLED}
    total = sum(labelled.values())
    if not total:
        yield "No review has a label: nothing can be learned from them."
        return
    label = max(labelled, key=lambda name: labelled[name])
    if total >= _ENOUGH and labelled[label] > _LOPSIDED * total:
        yield f"{labelled[label] / total:.0%} of the labels are {label}: a model that always says so is right as often."
    if total < (1 - _UNLABELLED_SHARE) * profile.rows:
        yield f"{1 - total / profile.rows:.0%} of the reviews have no label and do not train."


def _copies(profile: Profile) -> Iterator[str]:
    if profile.compared >= _ENOUGH and profile.near_copies > _COPIED * profile.compared:
        share = profile.near_copies / profile.compared
        yield f"{share:.1%} of the reviews have a near copy: templates, reposts or spam?"
    if profile.disagreeing:
        pairs = "pair of near copies has" if profile.disagreeing == 1 else "pairs of near copies have"
        yield f"{profile.disagreeing:,} {pairs} different labels: can both be right?"


def _languages(profile: Profile) -> Iterator[str]:
    known = {name: count for name, count in profile.languages.items() if name != UNKNOWN}
    total = sum(known.values())
    if total < _ENOUGH:
        return
    main = max(known, key=lambda name: known[name])
    if total - known[main] > _FOREIGN * total:
        others = ", ".join(name for name in known if name != main)
        yield f"{1 - known[main] / total:.0%} are not in the main language, {main}, but in {others[:60]}."
