"""Behavioural cases say what any model of sentiment should do, and a model that does not is found out."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sentiment.errors import SettingsError
from sentiment.labels import LabelScheme
from sentiment.serving.scorer import Scorer
from sentiment.settings import TrainingSettings
from sentiment.training.behaviour import Cases, behaviour_cases
from sentiment.training.model import compile_scorer, fit

GOOD, BAD = "A great and wonderful kettle, I loved it.", "An awful and terrible kettle, I hated it."


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """A model that knows few words, and what `not` does to them."""
    said = {"positive": [GOOD, "great", "so great", "wonderful", "not awful"],
            "negative": [BAD, "awful", "so awful", "terrible", "not great"]}  # fmt: skip
    texts = [text for texts in said.values() for text in texts] * 20
    labels = [label for label, texts in said.items() for _ in texts] * 20
    pipeline = fit(texts, labels, settings=TrainingSettings(min_documents=1, min_rows=20), scheme=LabelScheme.binary)
    return compile_scorer(pipeline)


def test_there_are_a_few_hundred_cases_of_every_kind_always_the_same() -> None:
    cases = behaviour_cases()
    kinds = Counter(cases.kinds.tolist())
    assert list(kinds) == [
        "plain judgements", "negation", "names", "typos", "punctuation", "case", "added praise", "added complaint",
    ]  # fmt: skip
    assert min(kinds.values()) >= 20
    assert 300 <= len(cases.cases) <= 800
    assert cases == behaviour_cases()
    assert len({(case.kind, case.text, case.variant) for case in cases.cases}) == len(cases.cases), "none counts twice"


def test_every_variant_differs_and_what_must_not_matter_leaves_the_judgement() -> None:
    for case in behaviour_cases().cases:
        assert case.variant != case.text
        if case.expect == "same" and case.variant is not None:
            assert case.group.lower() in f"{case.text} {case.variant}".lower()


def test_each_kind_has_enough_groups_to_tell_models_apart() -> None:
    cases = behaviour_cases()
    for kind in set(cases.kinds.tolist()):
        assert len(set(cases.groups[cases.kinds == kind].tolist())) >= 8


@pytest.mark.parametrize(
    ("line", "fails"),
    [
        ('{"text": "great", "expect": "positive"}', False),
        ('{"text": "awful", "expect": "positive"}', True),
        ('{"text": "awful", "expect": "negative"}', False),
        ('{"text": "great", "expect": "negative"}', True),
        ('{"text": "great", "variant": "great", "expect": "same"}', False),
        ('{"text": "great", "variant": "awful", "expect": "same"}', True),
        ('{"text": "great", "variant": "not great", "expect": "flips"}', False),
        ('{"text": "great", "variant": "wonderful", "expect": "flips"}', True),
        ('{"text": "awful", "variant": "great", "expect": "up"}', False),
        ('{"text": "great", "variant": "awful", "expect": "up"}', True),
        ('{"text": "great", "variant": "awful", "expect": "down"}', False),
        ('{"text": "awful", "variant": "great", "expect": "down"}', True),
    ],
)
def test_a_case_of_ones_own_is_judged(scorer: Scorer, tmp_path: Path, line: str, fails: bool) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(f"\n{line}\n")
    cases = behaviour_cases(str(path))
    assert len(cases.cases) == len(behaviour_cases().cases) + 1
    assert cases.kinds[-1] == "own"
    assert cases.failures(scorer)[-1] == fails


def test_a_model_turned_round_fails_what_it_passed(scorer: Scorer) -> None:
    cases = Cases(tuple(case for case in behaviour_cases().cases if case.kind == "plain judgements"))
    turned = replace(scorer, weights=-scorer.weights, intercepts=-scorer.intercepts)
    known = np.array(["great" in case.text or "awful" in case.text for case in cases.cases])
    assert not cases.failures(scorer)[known].any()
    assert cases.failures(turned)[known].all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": "a", "expect": "positive"}\n{"text": "b"\n', r"Line 2 of gate.behaviour_file .* not JSON"),
        ('{"text": "a"}', r"Line 1 .* expect: Field required"),
        ('{"text": "a", "expect": "happy"}', r"Line 1 .* expect: Input should be 'positive'"),
        ('{"text": "a", "expect": "same"}', "give the variant"),
        ('{"text": "a", "expect": "positive", "variant": "b"}', "leave the variant out"),
        ('{"text": "", "expect": "positive"}', "text: String should have at least 1 character"),
        ('{"text": "a", "expect": "positive", "typ": "b"}', "typ: Extra inputs are not permitted"),
        ("[1]", "Line 1"),
    ],
)
def test_a_line_that_is_no_case_is_named_with_what_to_write(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(content)
    with pytest.raises(SettingsError, match=said) as raised:
        behaviour_cases(str(path))
    assert "expect is one of positive, negative, same, flips, up, down" in raised.value.fix


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none.jsonl cannot be read"):
        behaviour_cases(str(tmp_path / "none.jsonl"))
