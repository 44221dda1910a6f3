"""The table of errors names every refusal of the service, with its status."""

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d{3}) \| ([^|]+) \|", re.MULTILINE)


def refusals() -> Iterator[tuple[int, str]]:
    """Find the statuses and titles that the service's code gives to `Refusal`, those made of field names apart."""
    for path in sorted((PROJECT / "bento").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal" and len(node.args) >= 2:
                status, title = node.args[:2]
                if isinstance(status, ast.Constant) and isinstance(title, ast.Constant):
                    yield status.value, title.value


def test_every_refusal_is_in_the_table() -> None:
    documented = {(int(status), title) for status, title in ROW.findall((PROJECT / "docs/serving.md").read_text())}
    found = set(refusals())
    assert len(found) >= 15
    assert found <= documented
    others = {(status, title) for status, title in documented - found if title != HTTPStatus(status).phrase}
    assert others == {(413, "Comment too long"), (413, "Reporter too long")}
