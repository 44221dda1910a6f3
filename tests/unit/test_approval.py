"""A person's word on a decision: when it is needed, when it counts, what it cannot do."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sentiment.errors import ModelError, PromotionConflictError
from sentiment.ledger import Ledger
from sentiment.model_records import ModelVersion
from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.settings import GatePolicy, Settings, load_settings
from sentiment.storage import Storage
from sentiment.training.approval import NOBODY, approve, needs_approval, reject, standing
from sentiment.training.approval_form import approval_form
from sentiment.training.gate import Check, Decision, Outcome
from sentiment.training.promotion import judge, promote, read_decision
from sentiment.training.train import train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STRICT = 1e-9  # nothing can be shown with so few rows


def decision(outcome: Outcome) -> Decision:
    return Decision(outcome, "1", "reviews@v2", (), {})


@pytest.mark.parametrize(
    ("policy", "promotes", "inconclusive"),
    [("never", False, False), ("when_inconclusive", False, True), ("always", True, True)],
)
def test_the_policy_says_who_is_asked(policy: str, promotes: bool, inconclusive: bool) -> None:
    gate = GatePolicy.model_validate({"approval": policy})
    assert needs_approval(decision(Outcome.promote), gate) is promotes
    assert needs_approval(decision(Outcome.inconclusive), gate) is inconclusive
    assert needs_approval(decision(Outcome.reject), gate) is False, "what the gate rejected is not asked about"


def test_of_a_dry_run_nobody_is_asked_and_nobody_can_let_it_in(root: str) -> None:
    settings = load_settings(storage={"root": root}, gate={"approval": "always", "mode": "dry_run"})
    model, said = judged_again(settings)
    assert said.outcome == "promote"
    assert not needs_approval(said, settings.gate)
    with pytest.raises(ModelError, match="needs no approval"):
        approve(settings, registry=Registry(settings), version=model, decision=said)
    now = standing(Storage(settings), version=model, decision=said, policy=settings.gate)
    assert (now.allowed, now.waiting) == (False, False)
    with pytest.raises(ModelError, match="may not be promoted"):
        promote(settings, registry=Registry(settings), version="2")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A root with a champion that learned from film reviews, and a challenger that also knows kitchens."""
    folder = tmp_path_factory.mktemp("approval")
    settings = load_settings(storage={"root": str(folder / "var")}, data={"settle_seconds": 0})
    registry = Registry(settings)
    for seed, (domain, rows) in enumerate((("film", 1_500), ("kitchen", 400)), start=1):
        ingest(settings, paths=[write_sample(folder / f"{domain}.csv", domain, rows, seed=seed)])
        judged, _ = judge(settings, registry=registry, challenger=train(settings, registry=registry))
        if domain == "film":
            promote(settings, registry=registry, version=judged.version)
    return settings.storage.root


def under(root: str, approval: str, **gate: float) -> Settings:
    return load_settings(storage={"root": root}, gate={"approval": approval, **gate})


def judged_again(settings: Settings, version: str = "2") -> tuple[ModelVersion, Decision]:
    registry = Registry(settings)
    return judge(settings, registry=registry, challenger=registry.version(version))


def test_an_inconclusive_one_is_let_in_by_a_person_and_by_nothing_else(root: str) -> None:
    asking, never = under(root, "when_inconclusive", alpha=STRICT), under(root, "never", alpha=STRICT)
    storage, registry = Storage(asking), Registry(asking)
    model, said = judged_again(asking)
    assert said.outcome == "inconclusive"

    for settings in (asking, never):
        with pytest.raises(ModelError, match="Version 2 may not be promoted"):
            promote(settings, registry=registry, version="2")
    with pytest.raises(ModelError, match=r"needs no approval: it is inconclusive, and gate.approval is never"):
        approve(never, registry=registry, version=model, decision=said)

    reject(asking, version=model, decision=said, reason="too late", actor=NOBODY, key="a")
    now = standing(storage, version=model, decision=said, policy=asking.gate)
    assert (now.allowed, now.waiting) == (False, True), "that nobody answered is nobody's word"

    reject(asking, version=model, decision=said, reason="wrong shop", actor="ada", key="b")
    with pytest.raises(ModelError, match=r"ada .* rejected it: wrong shop"):
        promote(asking, registry=registry, version="2")

    for _ in range(2):
        approve(asking, registry=registry, version=model, decision=said, reason="right shop", actor="bob", key="c")
    now = standing(storage, version=model, decision=said, policy=asking.gate)
    assert now.allowed
    assert "bob" in now.reason
    words = [(e.event, e.actor) for e in Ledger(storage).entries() if e.event in ("approved", "rejected")]
    assert words == [("rejected", NOBODY), ("rejected", "ada"), ("approved", "bob")], "an answer is written once"

    other = replace(said, champion="7")
    now = standing(storage, version=model, decision=other, policy=asking.gate)
    assert (now.allowed, now.waiting) == (False, True)
    assert "approved it as inconclusive against champion 1, but it is inconclusive against champion 7" in now.reason
    with pytest.raises(PromotionConflictError, match="judged against champion 7, but there is champion 1"):
        approve(asking, registry=registry, version=model, decision=other)


def test_always_asks_about_the_good_ones_too_and_what_was_approved_becomes_champion(root: str) -> None:
    settings = under(root, "always")
    storage, registry = Storage(settings), Registry(settings)
    model, said = judged_again(settings)
    assert said.outcome == "promote"
    with pytest.raises(ModelError, match=r"approved it as inconclusive .* but it is promote"):
        promote(settings, registry=registry, version="2")

    with pytest.raises(ModelError, match="a person cannot overrule a rejection"):
        approve(settings, registry=registry, version=model, decision=replace(said, outcome=Outcome.reject))
    refused = standing(storage, version=model, decision=replace(said, outcome=Outcome.reject), policy=settings.gate)
    assert (refused.allowed, refused.waiting) == (False, False)

    approve(settings, registry=registry, version=model, decision=said, reason="read the card", actor="ada")
    assert promote(settings, registry=registry, version="2").aliases == ("champion",)
    promote(settings, registry=registry, version="2")
    promoted = [entry for entry in Ledger(storage).entries() if entry.event == "promoted"]
    assert [entry.model_version for entry in promoted] == ["1", "2"]
    assert promoted[1].detail["approved_by"] == "ada"
    assert promoted[1].digests == {"model": model.digest}
    assert read_decision(storage, "2") == said
    with pytest.raises(ModelError, match="is the champion"):
        reject(settings, version=registry.version("2"), decision=said, reason="late")


def test_the_form_shows_the_decision_the_metrics_and_the_links() -> None:
    shown = approval_form(
        Decision(
            Outcome.inconclusive,
            "1",
            "reviews@v2",
            (Check("non_inferiority", Outcome.inconclusive, {}, "Not proved. Needs about 900 more."),),
            {
                "all": {"rows": 1_200, "challenger": 0.91, "champion": 0.9},
                "source <b>|[x](http://evil)": {"rows": 60, "challenger": 0.8},
            },
        ),
        version="2",
        snapshot="reviews@v2",
        cause="drift check 20261120T063000-v1-0123abcd",
        links={"Model card": "http://airflow/sentiment-why/cards/2"},
    )
    assert "**inconclusive**: Not proved. Needs about 900 more." in shown
    assert "| all | 1,200 | 90.0% | 91.0% | +1.0 |" in shown
    assert "[Model card](http://airflow/sentiment-why/cards/2)" in shown
    assert "drift check 20261120T063000-v1-0123abcd" in shown
    assert "| source &lt;b>\\|\\[x](http://evil) | 60 |" in shown, "what data named is text, neither a link nor a cell"
