"""A held batch in Airflow: the ingest run fails with the numbers, the answer of a person is carried out."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sentiment.ledger import Ledger
from sentiment.reviews.table import latest_snapshot
from sentiment.settings import load_settings
from sentiment.storage import Storage

FOLDER = Path(__file__).resolve().parents[2] / "dags"


class Events(dict[Any, Any]):
    """What a task emits."""

    def __missing__(self, alias: Any) -> Any:
        self[alias] = SimpleNamespace(added=[], add=lambda asset, extra: self[alias].added.append((asset.name, extra)))
        return self[alias]


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The functions of the tasks, on a storage root whose inbox holds a batch that is beyond policy."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(tmp_path / "var"))
    path = tmp_path / "var" / "inbox" / "one-sided.csv"
    path.parent.mkdir(parents=True)
    path.write_text("text,label\n" + "".join(f"review {n},pos\n" for n in range(200)))
    dags = DagBag(dag_folder=str(FOLDER)).dags
    return lambda dag, task: dags[f"sentiment_{dag}"].get_task(task).python_callable


@pytest.mark.parametrize(("answer", "rows"), [("Release", 200), ("Drop", None)])
def test_the_run_fails_with_the_numbers_and_the_answer_is_carried_out(tasks: Any, answer: str, rows: int) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    events = Events()
    taken = tasks("ingest", "ingest")(
        params={"files": [], "text": None, "label": None, "time": None}, outlet_events=events
    )
    with pytest.raises(AirflowFailException, match=r"one-sided.csv is held .*200 of 200 new labels \(100.0%\)"):
        tasks("ingest", "name_unread")(taken)
    batch = tasks("release", "look")(params={"batch": ""})
    assert batch["name"] == "one-sided.csv"
    form = {"params_input": {"reason": "checked by hand"}, "responded_by_user": {"id": "7", "name": "Ada"}}
    tasks("release", "settle")(batch, {"chosen_options": [answer], **form}, outlet_events=events)
    snapshot = latest_snapshot(Storage(load_settings()))
    assert (snapshot and snapshot.rows) == rows
    assert [added for event in events.values() for added in event.added] == (
        [("reviews", {"rows": 200})] if rows else []
    )
    with pytest.raises(AirflowFailException, match="No batch is held"):
        tasks("release", "look")(params={"batch": ""})
    entry = Ledger(Storage(load_settings())).entries()[-1]
    assert (entry.actor, entry.reason) == ("Ada", "checked by hand")
