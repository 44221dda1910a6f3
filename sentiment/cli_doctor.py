"""``sentiment doctor``: is all well, and what to do if not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentiment.console import Reporter
from sentiment.settings import load_settings

PROBLEMS = 10
_MARKS = {"ok": "ok", "warning": "look", "problem": "PROBLEM"}


def doctor(
    bundle: Annotated[
        Path | None, typer.Option(help="Also write a zip file for who helps; without secrets and personal data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")] = False,
) -> None:
    """Look at everything a support engineer would ask for, and say what to do. Ends with 10 if there is a problem."""
    from sentiment.doctor.bundle import write_bundle
    from sentiment.doctor.examination import examine

    out, settings, findings = Reporter(as_json=as_json), load_settings(), []
    for finding in examine(settings):
        findings.append(finding)
        out.say(f"{_MARKS[finding.state]:8} {finding.check}: {finding.said}")
        if finding.fix:
            out.say(f"{'':8}   do: {finding.fix}")
    problems = sum(finding.state == "problem" for finding in findings)
    warnings = sum(finding.state == "warning" for finding in findings)
    parts = write_bundle(settings, findings, bundle) if bundle else []
    said = f"{len(findings)} looks: {problems} problems, {warnings} to look at."
    lines = [said, f"{bundle}: {len(parts)} files. Read it before you send it."] if bundle else [said]
    result = {"findings": [finding.to_dict() for finding in findings], "problems": problems, "warnings": warnings}
    out.result({**result, "bundle": str(bundle) if bundle else None}, *lines)
    if problems:
        raise typer.Exit(PROBLEMS)
