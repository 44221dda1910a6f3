"""Send the same texts to both versions: do they answer alike, and the canary as its pipeline did.

What is sent are probes (``X-Sentiment-Probe``): no callers wait for them, and they are neither logged nor counted as
predictions. The texts are the newest of the prediction log, redacted as that is; without any, held-out reviews.
"""

from __future__ import annotations

import io
import logging
import tarfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx

from sentiment.deployment.canary.evidence import Mirrored
from sentiment.errors import SentimentError
from sentiment.packaging import BENTO_NAME, BENTOS
from sentiment.reviews.predictions import read_predictions
from sentiment.reviews.table import latest_snapshot, read_snapshot
from sentiment.serving.manifest import MANIFEST_FILE, Manifest, Probe
from sentiment.settings import CanarySettings, Settings
from sentiment.storage import Storage

AT_ONCE = 4
SECONDS = 20.0
"""In which the texts are sent to one server; what was not sent by then is not."""

SAME = 1e-6  # answers travel as JSON; the service's own check is stricter
Answer = dict[str, Any] | None

log = logging.getLogger(__name__)


def mirror(settings: Settings, *, canary: str) -> Mirrored | None:
    """Send the same texts to both, and its probes to the canary; None if there are no addresses."""
    policy = settings.canary
    if not policy.stable_url:
        return None
    texts, source = _texts(settings)
    probes = _probes(settings, canary)
    key = settings.serving.probe_key or "1"
    theirs = _answers(policy.stable_url, texts, key=key, policy=policy)
    ours = _answers(
        policy.canary_url, [*(probe.text for probe in probes), *texts[: len(theirs)]], key=key, policy=policy
    )
    found = compare(stable=theirs, canary=ours[len(probes) :])
    answered = [(probe, answer) for probe, answer in zip(probes, ours, strict=False) if answer]
    wrong = sum(not _is_right(probe, answer) for probe, answer in answered)
    return replace(found, source=source, probes=len(answered), wrong_probes=wrong)


def compare(*, stable: Sequence[Answer], canary: Sequence[Answer]) -> Mirrored:
    """Return how alike two servers answered; texts that were not sent to both are left out."""
    pairs = list(zip(stable, canary, strict=False))
    both = [(one["label"], other["label"]) for one, other in pairs if one and other]
    return Mirrored(
        sent=len(pairs),
        stable_failed=sum(one is None for one, _ in pairs),
        canary_failed=sum(other is None for _, other in pairs),
        compared=len(both),
        disagreed=sum(one != other for one, other in both),
        versions=tuple(sorted({answer["model_version"] for answer in canary if answer})),
    )


def _is_right(probe: Probe, answer: dict[str, Any]) -> bool:
    """Whether an answer is the pipeline's, its label included."""
    found: dict[str, float] = answer["probabilities"]
    same = len(found) == len(probe.probabilities) and all(
        abs(one - other) <= SAME for one, other in zip(found.values(), probe.probabilities, strict=True)
    )
    return same and found[answer["label"]] >= max(found.values()) - SAME


def _answers(url: str, texts: Sequence[str], *, key: str, policy: CanarySettings) -> list[Answer]:
    """Return the answer to each text, None for one that failed; fewer if time runs out."""
    deadline = time.monotonic() + SECONDS
    with (
        httpx.Client(base_url=url, headers={"X-Sentiment-Probe": key}, timeout=policy.timeout_seconds) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def ask(text: str) -> list[Answer]:
            if time.monotonic() > deadline:
                return []
            try:
                return [_read(client.post("/predict", json={"text": text}))]
            except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.info("mirrored to %s: %s", url, error)
                return [None]

        found = []
        for answer in pool.map(ask, texts):
            if not answer:
                break
            found += answer
        return found


def _read(answer: httpx.Response) -> Answer:
    """Return what was answered; raise if it is not the answer of a model."""
    said = answer.raise_for_status().json()
    probabilities = {str(label): float(share) for label, share in said["probabilities"].items()}
    if said["label"] not in probabilities:
        raise ValueError(f"the label {said['label']!r} has no probability")
    return {"label": said["label"], "model_version": str(said["model_version"]), "probabilities": probabilities}


def _texts(settings: Settings) -> tuple[list[str], str]:
    """Return the texts that are sent, and where they are from."""
    storage, most, longest = Storage(settings), settings.canary.mirrored, settings.serving.max_characters
    found = read_predictions(storage, newest=2 * most)["text"].dropna().drop_duplicates()
    if len(found) >= most / 2:
        return [text[:longest] for text in found.iloc[-most:]], "the prediction log"
    snapshot = latest_snapshot(storage)
    if snapshot is None:
        return [text[:longest] for text in found], "the prediction log"
    reviews = read_snapshot(storage, snapshot.version, split="test", newest=most)
    return [text[:longest] for text in reviews["text"]], f"held-out reviews of reviews@v{snapshot.version}"


def _probes(settings: Settings, version: str) -> tuple[Probe, ...]:
    """Return the probes of the newest Bento of a version; none if there is none or it cannot be read."""
    storage, name = Storage(settings), f"{BENTOS}/{BENTO_NAME}-v{version}-"
    try:
        bentos = [found for found in storage.objects(BENTOS) if found.path.startswith(name)]
        if not bentos:
            return ()
        data = storage.read(max(bentos, key=lambda bento: bento.modified).path)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            file = archive.extractfile(f"src/model/{MANIFEST_FILE}")
            return Manifest.model_validate_json(file.read() if file else b"").probes
    except (SentimentError, OSError, tarfile.TarError, KeyError, ValueError) as error:
        log.warning("the probes of version %s are not known: %s", version, error)
        return ()
