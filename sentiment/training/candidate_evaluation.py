"""The evaluation that every candidate gets: on its held-out reviews, kept with its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from sentiment.model_records import ModelVersion
from sentiment.registry import Registry
from sentiment.serving.explain import TellingWords, telling_words
from sentiment.serving.scorer import Scorer
from sentiment.settings import TrainingSettings
from sentiment.training.evaluation import LearningPoint, assess
from sentiment.training.evaluation_page import evaluation_files
from sentiment.training.learning import learning_curve
from sentiment.training.slices import Traits

if TYPE_CHECKING:
    from pandas import DataFrame
    from scipy.sparse import csr_matrix
    from sklearn.pipeline import Pipeline

FOLDER = "evaluation"
"""Where a run keeps the files of its evaluation."""

WORDS, WORD_TEXTS = 200, 2_000  # words to each side, and the held-out reviews over which they are counted


def evaluate_candidate(
    settings: TrainingSettings,
    pipeline: Pipeline,
    scorer: Scorer,
    *,
    learned_from: tuple[csr_matrix, Sequence[str]],
    held_out: DataFrame,
    title: str,
) -> tuple[Mapping[str, float], dict[str, bytes]]:
    """Measure a trained model on the reviews that were held out.

    Parameters
    ----------
    learned_from : (features, labels)
        One side of the split, as the pipeline's last step saw it.
    held_out : DataFrame
        The other: ``text``, ``label`` and ``source``.
    title : str
        Of the page.

    Returns
    -------
    (metrics, files)
        The metrics with their intervals, and the files to keep with the run.
    """
    texts, labels = held_out["text"].tolist(), held_out["label"].tolist()
    curve: tuple[LearningPoint, ...] = ()
    if settings.learning_curve:
        curve = learning_curve(
            pipeline,
            train=learned_from,
            held_out=(texts, labels),
            min_rows=settings.min_rows,
            seed=settings.seed,
        )
    evaluation = assess(
        scorer.probabilities(texts),
        scorer.labels,
        traits=Traits.of(texts, labels=labels, sources=held_out["source"].tolist()),
        learning=curve,
        min_confidence=scorer.min_confidence,
        seed=settings.seed,
    )
    words = telling_words(scorer, texts[:WORD_TEXTS], top=WORDS)
    files = evaluation_files(evaluation, words, title=title)
    return evaluation.metrics, {f"{FOLDER}/{name}": content for name, content in files.items()}


def read_words(registry: Registry, model: ModelVersion) -> TellingWords:
    """Return the words that mattered most on the held-out reviews of a model, as its run keeps them.

    Raises
    ------
    ModelError
        The run keeps none.
    """
    path = registry.artifact(model, f"{FOLDER}/words.json")
    words: TellingWords = TypeAdapter(TellingWords).validate_json(path.read_bytes())
    return words
