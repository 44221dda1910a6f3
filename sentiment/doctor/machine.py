"""The machine: Python, packages, settings, disk, dictionary."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from sentiment.doctor.finding import Finding, ok, problem, warning
from sentiment.errors import SettingsError
from sentiment.settings import Settings, refuse_unknown_sections

OLDEST, TOO_NEW = (3, 11), (3, 14)
LEAST_BYTES, FEW_BYTES = 10**9, 5 * 10**9
_PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def python_and_packages(_: Settings) -> Iterator[Finding]:
    """Python's version, and those of the packages against the ones that were tested together."""
    here = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] < TOO_NEW:
        yield ok("Python", f"{here} on {sys.platform}")
    else:
        yield problem("Python", f"{here} is not supported", "Use Python 3.11, 3.12 or 3.13.")
    pins = Path(__file__).resolve().parents[2] / "constraints.txt"
    if not pins.is_file():
        yield warning("Packages", "there is no constraints.txt to compare with", "Install from the checkout.")
        return
    tested: dict[str, set[str]] = {}
    for name, pin in _PIN.findall(pins.read_text()):
        tested.setdefault(name, set()).add(pin)  # more than one, where versions of Python differ
    other, missing = [], []
    for name in sorted(_needed()):
        try:
            found = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if name in tested and found not in tested[name]:
            other.append(f"{name} {found} (tested: {', '.join(sorted(tested[name]))})")
    if missing:
        yield problem("Packages", f"not installed: {', '.join(missing)}", "Run `make install` in the checkout.")
    elif other:
        yield warning("Packages", "; ".join(other), "Run `make install`: these versions were not tested together.")
    else:
        yield ok("Packages", f"{len(_needed())} as tested")


def settings_in_force(settings: Settings) -> Iterator[Finding]:
    """Names in the environment that are no settings, and files of secrets that others can read."""
    try:
        refuse_unknown_sections(os.environ)
        yield ok("Settings", f"root {settings.storage.root}")
    except SettingsError as error:
        yield problem("Settings", error.message, error.fix)
    for name in (".env", settings.serving.keys_file):
        path = Path(name)
        if name and path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield warning("Secrets", f"others on this machine may read {path}", f"chmod 600 {path}")


def room(settings: Settings) -> Iterator[Finding]:
    """Disk space and rights where local files go."""
    for name, folder in (("Disk", settings.local_dir), ("Temporary files", Path(tempfile.gettempdir()))):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        said = f"{free / 1e9:.1f} GB free at {folder}"
        if not os.access(there, os.W_OK):
            yield problem(name, f"{there} may not be written", "Change its owner or rights, or choose another folder.")
        elif free < LEAST_BYTES:
            yield problem(name, said, "Free some space: at least 1 GB is needed.")
        elif free < FEW_BYTES:
            yield warning(name, said, "Free some space, or let `sentiment maintain` keep less (settings `retention`).")
        else:
            yield ok(name, said)


def dictionary(settings: Settings) -> Iterator[Finding]:
    """WordNet, which the cleaning needs for lemmas only."""
    wanted = settings.training.cleaning.normal_form == "lemma"
    from sentiment.features.normal import wordnet_folder

    try:
        yield ok("WordNet", str(wordnet_folder()))
    except SettingsError as error:
        if wanted:
            yield problem("WordNet", error.message, error.fix)
        else:
            yield ok("WordNet", "not here, and not needed: training.cleaning.normal_form is not lemma")


def _needed() -> set[str]:
    """Return the names of the packages that ours asks for directly."""
    asked = [line for line in requires("sentiment") or () if "extra ==" not in line]
    return {re.split(r"[ <>=!~;\[]", line, maxsplit=1)[0].lower().replace("_", "-") for line in asked}
