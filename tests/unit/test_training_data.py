"""A run says which rows it learned from."""

from pathlib import Path

from sentiment.registry import Registry
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.reviews.versions import summarise
from sentiment.settings import Settings
from sentiment.storage import Storage
from sentiment.training.train import train


def test_a_run_carries_the_snapshot_its_digest_and_its_rows(settings: Settings, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    ingest(settings, paths=[write_sample(tmp_path / "film.csv", "film", 400, seed=1)])
    candidate = train(settings, registry=Registry(settings))
    run = MlflowClient(settings.tracking_uri).get_run(candidate.run_id)
    [used] = run.inputs.dataset_inputs
    found = summarise(Storage(settings), 1)
    assert (used.dataset.name, used.dataset.digest) == ("reviews@v1", found.digest)
    assert used.dataset.source_type == "delta_table"
    assert f"{settings.storage.root}/tables/reviews" in used.dataset.source
    assert run.data.params["rows_all"] == "400"
    assert int(run.data.params["rows_train"]) + int(run.data.params["rows_test"]) == 400
