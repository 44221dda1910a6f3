"""The ledger is one chain, whoever writes, and no change of it goes unseen."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from sentiment import ledger as module
from sentiment.chain import GENESIS, entry_hash
from sentiment.ledger import SCHEMA, Ledger
from sentiment.reviews.table import Table
from sentiment.reviews.upkeep import compact
from sentiment.settings import Settings
from sentiment.storage import Storage

WRITERS, EACH = 4, 4
OLD_SCHEMA = pa.schema(list(SCHEMA)[:7])

WRITE = """
import os, sys, traceback
from sentiment.ledger import Ledger
from sentiment.settings import load_settings
from sentiment.storage import Storage

def write(writer):
    ledger = Ledger(Storage(load_settings()))
    for number in range(int(sys.argv[2])):
        ledger.append("trained", reason=f"{writer}-{number}", key=f"{writer}-{number}")

for writer in range(int(sys.argv[1])):
    if os.fork() == 0:
        try:
            write(writer)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
sys.exit(any(os.wait()[1] for _ in range(int(sys.argv[1]))))
"""


@pytest.fixture
def filled(settings: Settings) -> Ledger:
    """A ledger of six entries."""
    ledger = Ledger(Storage(settings))
    for number in range(1, 7):
        ledger.append("promoted", model_version=str(number), reason=f"reason {number}", detail={"share": 0.1 * number})
    return ledger


def write_at_once(root: str, endpoint: str = "") -> None:
    """Let several processes append at once: forks of one that has imported what they need."""
    environment = {**os.environ, "SENTIMENT_STORAGE__ROOT": root, "SENTIMENT_STORAGE__ENDPOINT": endpoint}
    command = [sys.executable, "-c", WRITE, str(WRITERS), str(EACH)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2_000:]


def check_one_chain(ledger: Ledger) -> None:
    entries = ledger.entries()
    assert sorted(entry.reason for entry in entries) == sorted(f"{w}-{n}" for w in range(WRITERS) for n in range(EACH))
    assert [entry.sequence for entry in entries] == list(range(1, WRITERS * EACH + 1))
    assert [entry.previous for entry in entries] == [GENESIS, *(entry.hash for entry in entries[:-1])]
    assert not ledger.verify().problem


@pytest.mark.slow
def test_processes_that_write_at_once_make_one_chain(settings: Settings) -> None:
    write_at_once(settings.storage.root)
    check_one_chain(Ledger(Storage(settings)))


@pytest.mark.slow
def test_processes_that_write_at_once_make_one_chain_on_s3(s3: Settings) -> None:
    write_at_once(s3.storage.root, s3.storage.endpoint)
    check_one_chain(Ledger(Storage(s3)))


def test_an_untouched_ledger_verifies_and_tells_its_head(filled: Ledger) -> None:
    found = filled.verify()
    assert (found.entries, found.problem, found.bad) == (6, "", None)
    assert found.head == filled.entries()[-1].hash
    filled.append("deployed", model_version="6")
    assert not filled.verify(head=found.head).problem, "an older head is still an entry of the chain"


def test_an_empty_ledger_verifies(settings: Settings) -> None:
    assert Ledger(Storage(settings)).verify().to_dict() == {
        "entries": 0, "head": GENESIS, "problem": "", "bad": None, "intact": True,
    }  # fmt: skip


def tampered(settings: Settings, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Write the table anew with changed rows, as one who can write files would; it looks like one append."""
    uri = Storage(settings).uri(module.TABLE)
    rows = DeltaTable(uri).to_pyarrow_table().sort_by("sequence").to_pylist()
    change(rows)
    shutil.rmtree(uri)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_deltalake(uri, table, mode="append", configuration={"delta.appendOnly": "true"})


def rehashed(rows: list[dict[str, Any]], index: int) -> None:
    rows[index]["reason"] = "another reason"
    rows[index]["hash"] = entry_hash(rows[index])


def swapped(rows: list[dict[str, Any]]) -> None:
    rows[2]["sequence"], rows[3]["sequence"] = 4, 3


def swapped_and_rehashed(rows: list[dict[str, Any]]) -> None:
    swapped(rows)
    for index in (2, 3):
        rows[index]["hash"] = entry_hash(rows[index])


@pytest.mark.parametrize(
    ("change", "bad", "said"),
    [
        (lambda rows: rows[2].update(reason="better"), 3, r"Entry 3 \(promoted, version 3, .*\) was changed"),
        (lambda rows: rows[0].update(detail="{}"), 1, "Entry 1 .* was changed"),
        (lambda rows: rows[5].update(actor="nobody"), 6, "Entry 6 .* was changed"),
        (lambda rows: rows[1].update(time=rows[0]["time"]), 2, "Entry 2 .* was changed"),
        (lambda rows: rehashed(rows, 2), 4, "Entry 4 .* is out of place: it does not follow Entry 3"),
        (lambda rows: rows.pop(2), 3, "Entry 3 is missing"),
        (lambda rows: rows.pop(0), 1, "Entry 1 is missing: after the beginning comes entry 2"),
        (lambda rows: rows.append({**rows[3], "reason": "also"}), 4, "There are 2 entries 4"),
        (lambda rows: rows.append({**rows[5], "sequence": 7}), 7, "Entry 7 .* was changed"),
        (lambda rows: rows.insert(0, {**rows[0], "hash": None}), 2, "There are 2 entries|out of place|was changed"),
        (swapped, 3, "Entry 3 .* was changed"),
        (swapped_and_rehashed, 3, "Entry 3 .* is out of place"),
    ],
    ids=["reason", "first", "last", "time", "rehashed", "removed", "beheaded", "inserted", "appended", "backdated",
         "reordered", "reordered-rehashed"],
)  # fmt: skip
def test_what_was_tampered_with_is_named(
    settings: Settings, filled: Ledger, change: Callable[[list[dict[str, Any]]], None], bad: int, said: str
) -> None:
    tampered(settings, change)
    found = filled.verify()
    assert re.search(said, found.problem), found.problem
    assert found.bad is not None
    assert found.bad <= bad


def test_entries_cut_off_at_the_end_are_missed_by_whoever_remembers_the_head(
    settings: Settings, filled: Ledger
) -> None:
    head = filled.verify().head
    tampered(settings, lambda rows: rows.pop())
    assert not filled.verify().problem, "a shorter chain is whole in itself"
    found = filled.verify(head=head)
    assert found.bad == 6
    assert "No entry has the remembered hash" in found.problem
    assert "entries after Entry 5" in found.problem


def test_the_table_refuses_changes(settings: Settings, filled: Ledger) -> None:
    table = DeltaTable(Storage(settings).uri(module.TABLE))
    with pytest.raises(CommitFailedError, match="append-only"):
        table.delete("sequence = 6")
    with pytest.raises(CommitFailedError, match="append-only"):
        table.update(predicate="sequence = 6", updates={"reason": "'x'"})
    assert not filled.verify().problem


def test_removing_the_end_through_delta_is_seen_without_a_head(settings: Settings, filled: Ledger) -> None:
    table = DeltaTable(Storage(settings).uri(module.TABLE))
    table.alter.set_table_properties({"delta.appendOnly": "false"})
    DeltaTable(table.table_uri).delete("sequence = 6")
    assert "was made by DELETE" in filled.verify().problem


def test_compaction_keeps_the_chain(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.reviews.upkeep.MANY", 5)
    storage = Storage(settings)
    ledger = Ledger(storage)
    for number in range(8):
        ledger.append("trained", reason=str(number))
    before = ledger.entries()
    assert compact(Table(storage, "ledger", pa.schema([]))) == 7
    ledger.append("trained", reason="after")
    entries = ledger.entries()
    assert entries[:-1] == before
    assert entries[-1].previous == before[-1].hash
    assert not ledger.verify(head=before[-1].hash).problem


def older(settings: Settings) -> Ledger:
    """A ledger as it was before entries were chained."""
    uri = Storage(settings).uri(module.TABLE)
    for day in (2, 1, 3):
        row = {
            "time": datetime(2026, 3, day, tzinfo=UTC), "event": "trained", "actor": "ada", "model_version": None,
            "snapshot": f"reviews@v{day}", "reason": "", "detail": json.dumps({"digest": "d", "run_id": f"r{day}"}),
        }  # fmt: skip
        write_deltalake(uri, pa.Table.from_pylist([row], schema=OLD_SCHEMA), mode="append")
    return Ledger(Storage(settings))


def test_a_ledger_from_before_the_chain_is_kept_and_sealed(settings: Settings) -> None:
    ledger = older(settings)
    assert [entry.snapshot for entry in ledger.entries()] == ["reviews@v1", "reviews@v2", "reviews@v3"]
    ledger.append("promoted", model_version="1", key="promoted-1")
    ledger.append("promoted", model_version="1", key="promoted-1")
    entries = ledger.entries()
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4]
    assert (entries[0].run_id, entries[0].digests) == ("r1", {"model": "d"})
    assert entries[3].previous == entries[2].hash
    assert not ledger.verify().problem
    uri = Storage(settings).uri(module.TABLE)
    assert DeltaTable(uri).metadata().configuration["delta.appendOnly"] == "true"

    def edit(rows: list[dict[str, Any]]) -> None:
        next(row for row in rows if row["snapshot"] == "reviews@v2")["actor"] = "eve"

    tampered(settings, edit)
    assert "Entry 4 (promoted, version 1" in ledger.verify().problem


def test_a_key_tells_that_its_entry_was_written(settings: Settings) -> None:
    ledger = Ledger(Storage(settings))
    assert not ledger.has("one")
    ledger.append("promoted", key="one")
    assert ledger.has("one")
    assert not ledger.has("two")
