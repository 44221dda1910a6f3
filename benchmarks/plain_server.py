"""What most people serve: FastAPI, TfidfVectorizer and LogisticRegression, `predict_proba` for every request.

No log of the answers, no metrics, no limits, no access log. ``MODEL`` in the environment names the pickled pipeline.
The endpoints are coroutines, which on one worker is faster than FastAPI's threads.
"""

import os
import pickle
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
pipeline = pickle.loads(Path(os.environ["MODEL"]).read_bytes())  # made by the benchmark a moment before


class One(BaseModel):
    """One text."""

    text: str


class Many(BaseModel):
    """Several texts."""

    texts: list[str]


class Answer(BaseModel):
    """One answer."""

    label: str
    score: float
    probabilities: dict[str, float]


class Answers(BaseModel):
    """Several answers."""

    predictions: list[Answer]


def answer(texts: list[str]) -> list[Answer]:
    """Answer texts."""
    names = [str(name) for name in pipeline.classes_]
    rows = pipeline.predict_proba(texts).tolist()
    return [
        Answer(label=names[row.index(max(row))], score=row[-1], probabilities=dict(zip(names, row, strict=True)))
        for row in rows
    ]


@app.get("/readyz")
async def ready() -> str:
    """Say that it is ready."""
    return "ready"


@app.post("/predict")
async def predict(asked: One) -> Answer:
    """Answer one text."""
    return answer([asked.text])[0]


@app.post("/predict_batch")
async def predict_batch(asked: Many) -> Answers:
    """Answer several texts."""
    return Answers(predictions=answer(asked.texts))
