"""Debian source packages, downloaded with apt-get from the mirrors that this machine uses; nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sparse_attention.data.sources.common import SourceError, Wanted, rename
from sparse_attention.errors import InputError
from sparse_attention.jobs.progress import progress

SYSTEM = Path("/etc/apt")
COMPONENT = "main"
# type, options in brackets, address, suite, components
ONE_LINE = re.compile(
    r"\s*deb(?:-src)?\s+(?P<options>\[[^]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#]+)"
)
# the hooks of the system are off, because they could read or change more than this folder
SETTINGS = """\
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download the source packages that contain the wanted files to `folder`; the system's apt state stays as it is."""
    needed = list(dict.fromkeys(_package(source, item) for item in wanted))
    apt_get = shutil.which("apt-get")
    if apt_get is None:
        raise SourceError("apt-get is not installed on this machine; Debian and systems based on it have it")
    entries = list(dict.fromkeys(_entries(source["suite"])))
    if not entries:
        raise SourceError(f"no entry in {SYSTEM} lists the component {COMPONENT} of the suite {source['suite']}")
    with TemporaryDirectory() as name:
        private = Path(name)
        private.chmod(0o755)  # apt reads the folder as another user
        for place in ("sources", "lists/partial", "cache/archives/partial"):
            (private / place).mkdir(parents=True)
        for number, entry in enumerate(entries):
            (private / "sources" / f"{number}.sources").write_text(entry, encoding="utf-8")
        settings = private / "apt.conf"
        settings.write_text(SETTINGS.format(folder=private), encoding="utf-8")
        command = [apt_get, f"--config-file={settings}", "--quiet=2"]
        _run([*command, "update"], folder)
        for package in progress(needed, len(needed), "downloading source packages"):
            _run([*command, "--download-only", "source", package], folder)
    for item in wanted:
        if not (folder / item.path).is_file():
            raise SourceError(f"{_package(source, item)} has no file {item.path}")
        rename(folder, item)


def by_hand(source: dict[str, Any], item: Wanted) -> str:
    """Return how to get the file by hand."""
    return (
        f"`apt-get source --download-only {_package(source, item)}` where deb-src of {source['suite']} is among apt's "
        f"sources, or from Debian's archive of snapshots, which keeps versions that were replaced; take {item.path}"
    )


def _package(source: dict[str, Any], item: Wanted) -> str:
    """Return the NAME=VERSION that a file belongs to."""
    name = item.path.split("_", 1)[0]
    found = [package for package in source["packages"] if package.split("=", 1)[0] == name]
    if not found:
        raise InputError(f"{item.path}: belongs to none of source.packages; allowed: {', '.join(source['packages'])}")
    return str(found[0])


def _entries(suite: str) -> Iterator[str]:
    """Yield the system's entries for a suite, one mirror each, as entries of its source packages."""
    folder = SYSTEM / "sources.list.d"
    for file in [SYSTEM / "sources.list", *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))]:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        yield from (_from_stanzas if file.suffix == ".sources" else _from_lines)(text, suite)


def _from_stanzas(text: str, suite: str) -> Iterator[str]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", "\n".join(lines).strip()):
        # lines that start with a blank continue a field
        fields = dict(re.findall(r"^([^\s:]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE))
        known = {name.lower(): value for name, value in fields.items()}
        if known.get("enabled", "yes").strip().lower() in ("no", "false", "0", "off"):
            continue
        if suite in known.get("suites", "").split() and COMPONENT in known.get("components", "").split():
            yield _entry(known, suite)


def _from_lines(text: str, suite: str) -> Iterator[str]:
    for line in text.splitlines():
        found = ONE_LINE.match(line)
        if found and found["suite"] == suite and COMPONENT in found["components"].split():
            options = dict(re.findall(r"([\w-]+)=(\S+)", (found["options"] or "").strip("[] \t")))
            known = {name.lower(): value.replace(",", " ") for name, value in options.items()}
            yield _entry({"uris": found["uri"], **known}, suite)


def _entry(known: dict[str, str], suite: str) -> str:
    ours = {"types": "deb-src", "uris": known.get("uris", ""), "suites": suite, "components": COMPONENT}
    kept = {name: known[name] for name in ("signed-by", "trusted") if name in known}
    return "".join(f"{name}: {value}\n" for name, value in (ours | kept).items())


def _run(command: list[str], folder: Path) -> None:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if ran.returncode:
        lines = [line.strip() for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        reasons = [line for line in lines if line.startswith("E:")] or lines[-5:] or [f"exit code {ran.returncode}"]
        # an address may carry a password
        raise SourceError("apt-get says: " + re.sub(r"//[^/@\s]*@", "//", "; ".join(reasons)))
