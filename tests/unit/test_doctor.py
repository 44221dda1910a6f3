"""The doctor: what is well is called well, what is ill is named with what to do, and nothing secret leaves."""

import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment.cli import main
from sentiment.doctor import machine, services
from sentiment.doctor.bundle import without_secrets
from sentiment.doctor.examination import examine
from sentiment.doctor.finding import Finding, found_by, ok
from sentiment.errors import StorageError
from sentiment.ledger import Ledger
from sentiment.settings import Settings, load_settings
from sentiment.storage import Storage


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(settings)}


def test_a_fresh_folder_is_well(settings: Settings) -> None:
    findings = found(settings)
    assert {finding.state for finding in findings.values()} <= {"ok", "warning"}
    assert findings["Storage"].said.endswith("conditional writes hold")
    assert findings["Ledger"].said == "0 entries, none changed"
    assert not Storage(settings).list("doctor"), "the look leaves nothing"


def test_a_look_that_fails_hides_no_other(settings: Settings) -> None:
    def broken(_: Settings) -> Iterator[Finding]:
        yield ok("First", "seen")
        raise StorageError("The store is away.", fix="Wait.")

    def unforeseen(_: Settings) -> Iterator[Finding]:
        raise KeyError("x")
        yield

    first, second = found_by("Store", broken, settings)
    assert (first.state, second.state, second.said, second.fix) == ("ok", "problem", "The store is away.", "Wait.")
    [third] = found_by("Other", unforeseen, settings)
    assert third.state == "problem"
    assert "KeyError" in third.said
    assert "--bundle" in third.fix


def test_a_changed_ledger_is_a_problem(settings: Settings) -> None:
    ledger = Ledger(Storage(settings))
    for number in range(3):
        ledger.append("trained", reason=f"{number}", key=f"trained-{number}")
    assert found(settings)["Ledger"].state == "ok"
    file = next(Path(Storage(settings).uri("tables/ledger")).rglob("*.parquet"))
    rows = pq.read_table(file)
    place = rows.column_names.index("reason")
    pq.write_table(rows.set_column(place, rows.field(place), pa.array(["another"], rows.field(place).type)), file)
    finding = found(settings)["Ledger"]
    assert finding.state == "problem"
    assert finding.fix


def test_a_store_that_overwrites_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwrite(self: Storage, path: str, data: bytes) -> bool:
        self.write(path, data)
        return True

    monkeypatch.setattr(Storage, "create", overwrite)  # what some stores do with a condition: nothing
    [finding] = [one for one in services.storage(settings) if one.check == "Storage"]
    assert finding.state == "problem"
    assert "only once" in finding.said
    assert not Storage(settings).list("doctor")


def test_a_wrong_name_in_the_environment_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_GAT__MARGIN", "1")
    [finding] = machine.settings_in_force(settings)
    assert finding.state == "problem"
    assert "SENTIMENT_GAT__MARGIN" in finding.said


def test_secrets_that_others_can_read_are_seen(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=abc\n")
    (tmp_path / ".env").chmod(0o644)
    assert [one.check for one in machine.settings_in_force(settings) if one.state == "warning"] == ["Secrets"]
    (tmp_path / ".env").chmod(0o600)
    assert [one.state for one in machine.settings_in_force(settings)] == ["ok"]


def test_missing_words_matter_only_where_lemmas_are_wanted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    assert [one.state for one in machine.dictionary(settings)] == ["ok"]
    wanting = load_settings(storage={"root": settings.storage.root}, training={"cleaning": {"normal_form": "lemma"}})
    [finding] = machine.dictionary(wanting)
    assert finding.state == "problem"
    assert finding.fix


def test_the_command_says_it_to_scripts_and_packs_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "var"
    (root / "log").mkdir(parents=True)
    line = 'POST with password=hunter2 by jane@example.com to postgresql://me:hush@db/x {"text": "my secret diary"}'
    (root / "log" / "api.log").write_text("old\n" * 5_000 + line + "\n")
    monkeypatch.setenv("SENTIMENT_STORAGE__ROOT", str(root))
    monkeypatch.setenv("SENTIMENT_PLATFORM__AIRFLOW_DATABASE", "postgresql://me:hush@db/airflow")
    bundle = tmp_path / "bundle.zip"
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--bundle", str(bundle), "--json"])
    assert ended.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert result["problems"] == 0
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    with zipfile.ZipFile(bundle) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(parts) == {"findings.json", "settings.json", "versions.txt", "log/api.log"}
    together = "".join(parts.values())
    for secret in ("hunter2", "jane@", "hush", "diary"):
        assert secret not in together
    assert len(parts["log/api.log"].splitlines()) <= 300
    assert "postgresql://[login]@db" in parts["log/api.log"]
    assert "sentiment" in parts["versions.txt"]


SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=12, max_size=40)


@given(
    SECRET,
    st.sampled_from(
        [
            "password={}", 'PASSWORD: "{}"', "AWS_SECRET_ACCESS_KEY={}", "aws_access_key_id = {}", "api-key={}",
            "Authorization: Bearer {}", "got Bearer {} from", "token={}&next=1", "postgresql://user:{}@host/db",
            '{{"client_secret": "{}"}}', "X-API-Key: {}",
        ]
    ),
)  # fmt: skip
def test_no_secret_stays_however_it_is_written(secret: str, form: str) -> None:
    assert secret not in without_secrets(f"2030-01-01 {form.format(secret)}")
