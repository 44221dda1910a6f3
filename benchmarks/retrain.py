"""A retraining against the habit: from a snapshot to an evaluated, logged, registered model.

Run it with ``python -m benchmarks.retrain [--train FILE] [--test FILE] [--short FILE] [--rounds N]``. The reviews of
``--train`` (a parquet file as `benchmarks.model` reads it) are taken in once. Then each side, in turn, in a process of
its own and a copy of the same folder, reads the same snapshot, learns from its training split, is evaluated on the
held-out split, is logged to MLflow on SQLite and registered. Imports are timed apart, and MLflow's database is there
before. Both models are loaded back and judged on ``--test`` and ``--short`` afterwards.

The habit is TfidfVectorizer (1,2) and LogisticRegression in a pipeline, logged by `mlflow.sklearn.log_model` with a
signature and an input example and otherwise its defaults, but one: the default format, skops, writes a vocabulary one
zip member a word, in quadratic time, and does not end in an hour with a million of them. ``cloudpickle`` is used, which
is the fastest there is. ``--skops N [N ...]`` shows what the default takes with so many words.

``python -m benchmarks.retrain --growth N [N ...]`` retrains ours on so many generated reviews.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sentiment.settings import Settings, load_settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WAYS = ("ours", "habit")
SHOWN = (
    ("work", "from snapshot to registered model", "s"),
    ("imports", "imports before that", "s"),
    ("cpu", "CPU, both", "s"),
    ("peak", "peak memory", "MB"),
)
IMPORTS = {
    "ours": ("sentiment.training.candidate_evaluation", "sentiment.training.train", "sentiment.training.model"),
    "habit": ("sklearn.linear_model", "sklearn.feature_extraction.text", "pandas", "deltalake"),
}
MLFLOW = ("mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def prepare(root: Path, reviews: Path) -> int:
    """Take the reviews in and make MLflow's database, which is not part of a retraining."""
    from sentiment.reviews.ingest import ingest
    from sentiment.tracking import ensure_database

    settings = settings_of(root)
    accepted = ingest(settings, paths=[reviews]).accepted
    ensure_database(settings.tracking_uri)
    return accepted


def settings_of(root: Path) -> Settings:
    """Return the default settings of a platform in a folder."""
    return load_settings(storage={"root": str(root)})


def ours(root: Path) -> dict[str, Any]:
    """Retrain as `sentiment train` does, and register the candidate."""
    from sentiment.registry import Registry
    from sentiment.training.train import train

    registry = Registry(settings_of(root))
    candidate = train(settings_of(root), registry=registry)
    version = registry.register(candidate, decision="promote")
    return {"accuracy": candidate.metrics["accuracy"], "rows": candidate.train_rows, "version": version.version}


def habit(root: Path) -> dict[str, Any]:
    """Retrain as most people do."""
    import mlflow
    from deltalake import DeltaTable
    from mlflow.models import infer_signature
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
    from sklearn.pipeline import make_pipeline

    rows = DeltaTable(root / "tables/reviews").to_pandas(columns=["text", "label", "split"]).dropna(subset="label")
    learn, held_out = rows[rows.split == "train"], rows[rows.split == "test"]
    texts, asked = learn.text.tolist(), held_out.text.tolist()
    mlflow.set_tracking_uri(settings_of(root).tracking_uri)
    mlflow.set_experiment("habit")
    with mlflow.start_run():
        model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1_000))
        model.fit(texts, learn.label.tolist())
        answers, truth = model.predict(asked), held_out.label.tolist()
        scores = model.predict_proba(asked)[:, 1]
        found = {
            "accuracy": float(accuracy_score(truth, answers)),
            "macro_f1": float(f1_score(truth, answers, average="macro")),
            "auc": float(roc_auc_score([label == "positive" for label in truth], scores)),
        }
        mlflow.log_params({"ngram_range": (1, 2), "max_iter": 1_000})
        mlflow.log_metrics(found)
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="cloudpickle",
            signature=infer_signature(asked[:2], answers[:2]),
            input_example=asked[:2],
            registered_model_name="habit",
        )
    version = str(logged.registered_model_version)
    return {"accuracy": found["accuracy"], "rows": len(texts), "version": version}


def answers(way: str, root: Path, texts: list[str]) -> list[str]:
    """Load the registered model back and ask it."""
    if way == "ours":
        from sentiment.registry import Registry

        registry = Registry(settings_of(root))
        scorer = registry.load_scorer(registry.version("1"))
        return [scorer.labels[best] for best in scorer.probabilities(texts).argmax(axis=1).tolist()]
    import mlflow

    mlflow.set_tracking_uri(settings_of(root).tracking_uri)
    return list(mlflow.sklearn.load_model("models:/habit/1").predict(texts))


def measure(way: str, root: Path, others: list[Path]) -> None:
    """Measure one way in this process, then judge the model on other texts."""
    from benchmarks.model import read

    started = time.perf_counter()
    for module in (*IMPORTS[way], *MLFLOW):
        importlib.import_module(module)
    imported = time.perf_counter()
    found = {"ours": ours, "habit": habit}[way](root)
    worked = time.perf_counter() - imported
    imports = imported - started
    mine, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime
    peak = max(mine.ru_maxrss, children.ru_maxrss) / 1024
    for path in others:
        texts, labels = read(path)
        said = answers(way, root, texts)
        found[path.stem] = sum(map(str.__eq__, said, labels)) / len(labels)
    print(json.dumps({**found, "imports": imports, "work": worked, "cpu": cpu, "peak": peak}))


def measured(way: str, prepared: Path, others: list[Path]) -> dict[str, Any]:
    """Measure one way in a process of its own, in a copy of the prepared folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "var")
        shutil.copytree(prepared, root)
        command = [sys.executable, "-m", "benchmarks.retrain", "--measure", way, str(root), *map(str, others)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), **QUIET}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr[-2_000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def race(reviews: Path, others: list[Path], rounds: int) -> None:
    """Run both sides in turn and print what they took and what came out."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"{prepare(Path(folder, 'var'), reviews):,} reviews in the snapshot\n")
        found = {way: list[dict[str, Any]]() for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                found[way].append(measured(way, Path(folder, "var"), others))
    best = {way: {name: min(run[name] for run in found[way]) for name in found[way][0]} for way in WAYS}
    print(f"| of {rounds} rounds the best | ours | habit | ratio |\n|---|---|---|---|")
    for name, title, unit in SHOWN:
        we, they = (best[way][name] for way in WAYS)
        print(f"| {title} | {we:,.1f} {unit} | {they:,.1f} {unit} | {they / we:.1f} |")
    for name in ("accuracy", *(path.stem for path in others)):
        print(f"| right, {name} | {best['ours'][name]:.2%} | {best['habit'][name]:.2%} | |")


def grow(sizes: list[int]) -> None:
    """Print what a retraining takes on ever more generated reviews."""
    from sentiment.reviews.sample import write_sample

    heads = ("reviews in the snapshot", "learned from", "time", "CPU, with imports", "peak memory", "accuracy")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            reviews = write_sample(Path(folder, "reviews.csv"), "film", size)
            accepted = prepare(Path(folder, "var"), reviews)
            reviews.unlink()
            run = measured("ours", Path(folder, "var"), [])
        print(
            f"| {accepted:,} | {run['rows']:,} | {run['work']:.0f} s | {run['cpu']:.0f} s | {run['peak']:,.0f} MB | "
            f"{run['accuracy']:.1%} |",
            flush=True,
        )


def skops(sizes: list[int]) -> None:
    """Print how long MLflow's default format takes to write the habit's model, by the size of its vocabulary."""
    import skops.io
    from sklearn.feature_extraction.text import TfidfVectorizer

    print("| words | skops |\n|---|---|")
    for size in sizes:
        vectorizer = TfidfVectorizer().fit([" ".join(f"w{number}" for number in range(size))])
        begin = time.perf_counter()
        skops.io.dumps(vectorizer)
        print(f"| {size:,} | {time.perf_counter() - begin:.1f} s |", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=DATA / "imdb_train.parquet")
    parser.add_argument("--test", type=Path, help="labelled reviews to judge both models on, beside the held-out split")
    parser.add_argument("--short", type=Path, help="short texts to judge both models on")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--growth", type=int, nargs="+", metavar="N")
    parser.add_argument("--skops", type=int, nargs="+", metavar="N")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        way, root, *others = asked.measure
        measure(way, Path(root), [Path(path) for path in others])
    elif asked.growth:
        grow(asked.growth)
    elif asked.skops:
        skops(asked.skops)
    elif not asked.train.is_file():
        sys.exit(f"the reviews are not here: {asked.train}")
    else:
        race(asked.train, [path.resolve() for path in (asked.test, asked.short) if path], asked.rounds)


if __name__ == "__main__":
    main()
