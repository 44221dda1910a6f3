"""``sentiment predict`` and ``sentiment score``: answers to a few texts, and to whole tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from sentiment.console import Reporter
from sentiment.errors import SettingsError, SourceError
from sentiment.settings import Settings, load_settings
from sentiment.supervisor import Terminated

if TYPE_CHECKING:
    from sentiment.client_answers import Prediction
    from sentiment.scoring.predicting import Answerer
    from sentiment.scoring.records import Rows
    from sentiment.scoring.run import Progress, ScoreResult

KEY_VARIABLE = "SENTIMENT_API_KEY"
_BATCH_ROWS = 2_000
_CHUNK_BYTES = 1 << 20

Json = Annotated[bool, typer.Option("--json", help="Write JSON on standard output; of many texts, an object a line.")]
Version = Annotated[str | None, typer.Option(help="Model version; the champion if not given.")]
Column = Annotated[str | None, typer.Option(help="Column of the texts; found by its usual names if not given.")]


def predict(
    text: Annotated[
        str | None, typer.Argument(help="A text; standard input, a text a line, if nothing is given.")
    ] = None,
    file: Annotated[Path | None, typer.Option(readable=False, help="A file with a text a line.")] = None,
    table: Annotated[
        Path | None,
        typer.Option("--input", readable=False, help="Table: csv, tsv, jsonl (.gz, .zst), parquet, xlsx."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write the table with the answers: .csv, .tsv, .jsonl or .parquet.")
    ] = None,
    column: Column = None,
    version: Version = None,
    url: Annotated[str | None, typer.Option(help="Ask the API at this address instead of loading the model.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help=f"File with the API key; or set {KEY_VARIABLE}. Never an option: others see it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge texts with the champion, in this process or through a running API (--url).

    A table gets the columns predicted_label, predicted_score, probability_..., abstained, model_version, request_id and
    problem; rows that hold no text keep their place. It is written when it is complete. For what takes hours there is
    `sentiment score`, which goes on where it was.
    """
    _check(text=text, file=file, table=table, output=output, version=version, url=url, key_file=key_file)
    out, settings = Reporter(as_json=as_json), load_settings()
    if text is not None and output is None:
        answer = _one(settings, text, version=version, url=url, key_file=key_file)
        out.result(answer.to_dict(), _said(answer))
        return
    from sentiment.scoring.records import read_rows

    with _answering(settings, version=version, url=url, key_file=key_file) as answerer:
        if table is not None:
            batches = read_rows(table, column=column, batch_rows=_BATCH_ROWS)
        elif text is not None:
            batches = iter([_rows([text])])
        else:
            batches = (_rows(lines) for lines in _lines(file))
        if output is None:
            _print(out, answerer, batches)
        else:
            _write(out, answerer, batches, output)


def score(
    given: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="File, folder, s3:// object or prefix, https:// file, reviews@v12."),
    ],
    output: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix for the scores, of its own.")],
    column: Column = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Column to carry along, as input_COLUMN; may be given more than once.")
    ] = None,
    version: Version = None,
    anew: Annotated[bool, typer.Option("--anew", help="Remove what another job left at the output.")] = False,
    as_json: Json = False,
) -> None:
    """Score a whole table, folder or S3 prefix with one model version, to Parquet; killed, it goes on where it was.

    Each row gets label, score, probabilities, abstained, model_version, its source file and row number. A file that
    cannot be read is named at the end, and the status is 3; all others are scored. reviews@latest: the latest snapshot.
    """
    from sentiment.registry import Registry
    from sentiment.scoring.run import score as stage

    out, settings = Reporter(as_json=as_json), load_settings()
    registry = Registry(settings)
    with out.progress("Scoring", "rows") as tell:
        try:
            result = stage(
                settings,
                given,
                output,
                registry=registry,
                version=version,
                column=column,
                keep=keep or (),
                anew=anew,
                tell=_telling(tell),
            )
        except SourceError as error:
            if error.result is not None:
                _show(out, error.result)
            raise
    _show(out, result)


def _check(
    *,
    text: str | None,
    file: Path | None,
    table: Path | None,
    output: Path | None,
    version: str | None,
    url: str | None,
    key_file: Path | None,
) -> None:
    """Raise `SettingsError` for options that do not go together, before anything is loaded."""
    if sum(given is not None for given in (text, file, table)) > 1:
        raise SettingsError("More than one input is given.", fix="Give a text, --file or --input.")
    if url and version:
        raise SettingsError("--version is given with --url.", fix="Leave it out: the API answers with what it serves.")
    if key_file and not url:
        raise SettingsError("--key-file is given without --url.", fix="Leave it out: only the API wants a key.")
    if output is not None:
        from sentiment.scoring.records import check_writable

        check_writable(output)
        if table is not None and output.resolve() == table.resolve():
            raise SettingsError(f"{output} is the input too.", fix="Write to another file.")


def _one(settings: Settings, text: str, *, version: str | None, url: str | None, key_file: Path | None) -> Prediction:
    if url:
        from sentiment.client import Client

        with Client(url, key=_key(key_file)) as client:
            return client.predict(text)
    with _answering(settings, version=version, url=None, key_file=None) as answerer:
        [answer] = answerer.answer([text])
    return answer  # type: ignore[return-value]  # a scorer refuses nothing


@contextmanager
def _answering(
    settings: Settings, *, version: str | None, url: str | None, key_file: Path | None
) -> Iterator[Answerer]:
    """Give who answers: the API at `url`, or the scorer of a model version."""
    from sentiment.scoring.predicting import Answerer

    if url:
        from sentiment.client import Client

        with Client(url, key=_key(key_file)) as client:
            yield Answerer(client.model().labels, client.predict_batch)
        return
    from sentiment.registry import Registry

    registry = Registry(settings)
    model = registry.version(version) if version else registry.champion()
    yield Answerer.of_scorer(registry.load_scorer(model), model.version)


def _key(file: Path | None) -> str | None:
    """Return the API key, from the file or the environment."""
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The key file {file} cannot be read.", fix="Check --key-file.") from error
    if not key:
        raise SettingsError(f"The key file {file} is empty.", fix="Write the API key into it, on one line.")
    return key


def _lines(path: Path | None) -> Iterator[list[str]]:
    """Yield the lines of a file, or of standard input as they come."""
    if path is None:
        if sys.stdin.isatty():
            Reporter().say("Reading texts, one a line, until Ctrl-D.")
        yield from _whole_lines(sys.stdin.buffer)
        return
    if not path.is_file():
        raise SourceError(f"There is no file {path}.", fix="Check the path.")
    with path.open("rb") as file:
        yield from _whole_lines(file)


def _whole_lines(file: BinaryIO) -> Iterator[list[str]]:
    rest = b""
    while chunk := file.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]  # what is there, not all that may come
        *whole, rest = (rest + chunk).split(b"\n")
        for start in range(0, len(whole), _BATCH_ROWS):
            yield [_line(line) for line in whole[start : start + _BATCH_ROWS]]
    if rest:
        yield [_line(rest)]


def _line(line: bytes) -> str:
    return line.decode("utf-8-sig", errors="replace").rstrip("\r")


def _rows(lines: Sequence[str]) -> Rows:
    from sentiment.scoring.records import Rows

    return Rows([{"text": line} for line in lines], list(lines), [False] * len(lines))


def _print(out: Reporter, answerer: Answerer, batches: Iterator[Rows]) -> None:
    """Print an answer a line as they come."""
    import json

    from sentiment.client_answers import Prediction
    from sentiment.scoring.predicting import answered

    for rows in batches:
        for text, item in zip(rows.texts, answered(answerer, rows), strict=True):
            if out.as_json:
                said = item.to_dict() if isinstance(item, Prediction) else {"problem": str(item)}
                typer.echo(json.dumps({"text": text, **said}, ensure_ascii=False))
            else:
                short = " ".join((text or "").split())
                typer.echo(f"{_said(item) if isinstance(item, Prediction) else item}\t{short}")


def _write(out: Reporter, answerer: Answerer, batches: Iterator[Rows], output: Path) -> None:
    from sentiment.scoring.predicting import predict_table
    from sentiment.scoring.records import written

    try:
        with out.progress("Predicting", "rows") as tell, written(output, answerer.columns()) as writer:
            counts = predict_table(answerer, batches, writer, tell=tell)
            if not counts.rows:
                raise SourceError("There are no texts in the input.", fix="Check what was given.")
    except Terminated:
        out.say(f"Interrupted: nothing was written to {output}.")
        raise
    unread = f", {counts.unread:,} of them without an answer: see the column problem" if counts.unread else ""
    found = {"output": str(output), "rows": counts.rows, "unread": counts.unread}
    out.result(found, f"Wrote {counts.rows:,} rows to {output}{unread}.")


def _said(answer: Prediction) -> str:
    unsure = " (unsure)" if answer.abstained else ""
    return f"{answer.label} {answer.probabilities[answer.label]:.1%}{unsure}"


def _telling(tell: Callable[..., None]) -> Callable[[Progress], None]:
    """Return what tells of a run how many rows more are done, and which file is at hand."""
    done = 0

    def told(progress: Progress) -> None:
        nonlocal done
        tell(progress.rows - done, f"file {progress.file:,} of {progress.files:,}, {progress.source}")
        done = progress.rows

    return told


def _show(out: Reporter, result: ScoreResult) -> None:
    counted = ", ".join(f"{label} {count:,}" for label, count in result.labels.items()) or "no answers"
    lines = [
        f"Scored {result.rows:,} rows of {result.files:,} files with version {result.model_version}: "
        f"{counted}; unsure {result.unsure:,}.",
        f"Scores: {result.output}",
    ]
    if result.unread:
        lines.insert(1, f"{result.unread:,} rows have no answer; their column problem says why.")
    out.result(result.to_dict(), *lines)
    if result.skipped:
        out.table("Skipped", ["file", "reason"], result.skipped.items())
