"""Scoring from one S3 prefix to another: as on a disk, also while the store misbehaves."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bentos import stock
from faults import Fault, S3Server

from sentiment.errors import SourceError, StorageError
from sentiment.reviews.ingest import ingest
from sentiment.reviews.sample import write_sample
from sentiment.scoring.run import score
from sentiment.settings import Settings, load_settings

pytestmark = pytest.mark.slow


def test_a_prefix_is_scored_and_a_store_that_fails_loses_nothing(s3: Settings, store: S3Server, tmp_path: Path) -> None:
    shelf = stock(tmp_path / "shelf", load_settings(training={"min_documents": 1}))
    small = s3.model_copy(update={"data": s3.data.model_copy(update={"batch_rows": 100})})
    client, bucket = store.client(), store.bucket
    for number in range(3):
        rows = [f"a wonderful film {n}" if n % 2 else f"an awful kettle {n}" for n in range(150)]
        client.put_object(Bucket=bucket, Key=f"in/june/{number}.csv", Body="\n".join(["text", *rows]).encode())
    client.put_object(Bucket=bucket, Key="in/june/_SUCCESS", Body=b"")
    client.put_object(Bucket=bucket, Key="in/empty.csv", Body=b"")
    client.put_object(Bucket=bucket, Key="inside/other.csv", Body=b"text\nnot asked for\n")
    given, output = f"s3://{bucket}/in", f"s3://{bucket}/scores/june"

    store.misbehave(Fault("error", method="PUT", part="2-"))
    with pytest.raises(StorageError, match="did not write"):
        score(small, given, output, registry=shelf)
    store.misbehave(Fault("throttle", rate=0.2))
    with pytest.raises(SourceError, match=r"1 of 4 files could not be scored: .*empty.csv is empty") as caught:
        score(small, given, output, registry=shelf)
    assert (caught.value.result.files, caught.value.result.rows, caught.value.result.parts) == (3, 450, 6)
    assert store.injected() > 0

    store.misbehave()
    listed = client.list_objects_v2(Bucket=bucket, Prefix="scores/june/")["Contents"]
    parts = [item["Key"] for item in listed if item["Key"].endswith(".parquet")]
    tables = [pq.read_table(io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read())) for key in parts]
    found = sorted((row["source"], row["row_number"]) for table in tables for row in table.to_pylist())
    assert found == [(f"june/{number}.csv", n + 1) for number in range(3) for n in range(150)]
    with pytest.raises(SourceError):
        score(small, given, output, registry=shelf)
    fetched = [seen["path"] for seen in store.seen() if seen["method"] == "GET" and "/in/june/" in seen["path"]]
    assert fetched == [], "what is done is not even fetched again"

    one = score(small, f"{given}/june/1.csv", f"s3://{bucket}/scores/one", registry=shelf)
    assert (one.files, one.rows) == (1, 150)
    ingest(small, paths=[write_sample(tmp_path / "film.csv", "film", 60, seed=1)])
    assert score(small, "reviews@v1", f"s3://{bucket}/scores/v1", registry=shelf).rows > 40
