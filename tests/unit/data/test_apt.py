"""Debian source packages through apt-get: its own sources for the suite, private lists, clear reasons."""

from __future__ import annotations

import hashlib
import sys

import pytest

from sparse_attention.data.fetch import retrieve
from sparse_attention.data.registry import open_dataset
from sparse_attention.data.sources import apt
from sparse_attention.errors import InputError

STANZA = """\
# the mirror of this machine
Types: deb
URIs: http://mirror.invalid/debian
# two of them
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg
"""
ENTRY = """\
types: deb-src
uris: http://mirror.invalid/debian
suites: bookworm
components: main
signed-by: /usr/share/keyrings/debian.gpg
"""
# what apt-get is asked goes to asked.txt, its own settings and sources to seen.txt; `source` copies from the mirror
APT_GET = """\
#!{python}
import pathlib, shutil, sys
here = pathlib.Path({here!r})
settings = pathlib.Path(sys.argv[1].removeprefix("--config-file="))
with open(here / "asked.txt", "a") as asked:
    print(*sys.argv[2:], file=asked)
sources = sorted((settings.parent / "sources").iterdir())
(here / "seen.txt").write_text("".join(file.read_text() for file in sources))
(here / "settings.txt").write_text(settings.read_text().replace(str(settings.parent), "PRIVATE"))
if sys.argv[-1] in {failing!r}:
    print("Reading package lists...")
    sys.exit("W: something small\\nE: Failed to fetch http://me:secret@mirror.invalid/a  404\\nE: Unable to go on")
if sys.argv[-2] == "source":
    for file in (here / "mirror").glob(sys.argv[-1].split("=")[0] + "_*"):
        shutil.copy(file, file.name)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a machine with an apt-get that fails where it is told to."""
    for folder in ("bin", "mirror", "etc/sources.list.d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc" / "sources.list.d" / "debian.sources").write_text(STANZA)
    for name in ("tool_1.orig.tar.gz", "tool_1-2.debian.tar.xz", "tool_1-2.dsc", "libx_0.orig.tar.xz"):
        (tmp_path / "mirror" / name).write_text(name)
    monkeypatch.setattr(apt, "SYSTEM", tmp_path / "etc")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def make(failing=()):
        script = tmp_path / "bin" / "apt-get"
        script.write_text(APT_GET.format(python=sys.executable, here=str(tmp_path), failing=list(failing)))
        script.chmod(0o755)
        return tmp_path

    return make


def entry(*names, packages=("tool=1:1-2", "libx=0-1")):
    files = [{"path": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "size": len(name)} for name in names]
    source = {"type": "apt", "suite": "bookworm", "packages": list(packages)}
    return {"kind": "code", "version": "1", "source": source, "files": files}


BOTH = ("tool_1.orig.tar.gz", "tool_1-2.debian.tar.xz", "libx_0.orig.tar.xz")


def test_files_get_a_receipt_and_no_other_file_is_left(machine, tmp_path):
    here = machine()
    retrieve("toy", entry(*BOTH), tmp_path / "toy" / "receipt.json")
    dataset = open_dataset(tmp_path / "toy" / "receipt.json")
    assert [file.name for file in dataset.files] == list(BOTH)
    assert sorted(path.name for path in (tmp_path / "toy").iterdir()) == sorted([*BOTH, "receipt.json"])
    asked = (here / "asked.txt").read_text().splitlines()
    assert asked == [
        "--quiet=2 update", "--quiet=2 --download-only source tool=1:1-2", "--quiet=2 --download-only source libx=0-1",
    ]  # fmt: skip


def test_lists_and_sources_are_private(machine, tmp_path):
    here = machine()
    retrieve("toy", entry(*BOTH), tmp_path / "toy" / "receipt.json")
    assert (here / "seen.txt").read_text() == ENTRY
    settings = (here / "settings.txt").read_text()
    assert 'Dir::Etc::sourceparts "PRIVATE/sources"' in settings and 'Dir::State::lists "PRIVATE/lists"' in settings


def test_only_packages_of_missing_files_are_downloaded(machine, tmp_path):
    here = machine()
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "libx_0.orig.tar.xz").write_text("libx_0.orig.tar.xz")
    retrieve("toy", entry(*BOTH), tmp_path / "toy" / "receipt.json")
    assert "libx" not in (here / "asked.txt").read_text()


def test_without_apt_the_error_says_how_to_get_each_file(machine, tmp_path):
    with pytest.raises(InputError) as error:
        retrieve("toy", entry(*BOTH), tmp_path / "toy" / "receipt.json")
    text = str(error.value)
    assert "toy: cannot be fetched: apt-get is not installed on this machine" in text
    assert "`apt-get source --download-only tool=1:1-2` where deb-src of bookworm is" in text
    assert all(f"put it at {tmp_path / 'toy' / name}" in text and f"take {name}" in text for name in BOTH)


@pytest.mark.parametrize("failing", ["update", "tool=1:1-2"])
def test_the_errors_of_apt_are_passed_on_without_passwords(machine, tmp_path, failing):
    machine([failing])
    with pytest.raises(InputError) as error:
        retrieve("toy", entry(*BOTH), tmp_path / "toy" / "receipt.json")
    wanted = "apt-get says: E: Failed to fetch http://mirror.invalid/a  404; E: Unable to go on"
    assert wanted in str(error.value) and "secret" not in str(error.value)
    assert not (tmp_path / "toy" / "receipt.json").exists()


def test_a_file_with_other_content_is_not_kept(machine, tmp_path):
    here = machine()
    (here / "mirror" / "libx_0.orig.tar.xz").write_text("libx_0.orig.tar.xy")
    with pytest.raises(InputError, match=r"libx_0.orig.tar.xz has the wrong checksum: expected sha256 .* found"):
        retrieve("toy", entry(*BOTH), tmp_path / "toy" / "receipt.json")
    assert not (tmp_path / "toy" / "libx_0.orig.tar.xz").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tool_2.orig.tar.gz", "tool=1:1-2 has no file tool_2.orig.tar.gz"),
        ("other_1.orig.tar.gz", "other_1.orig.tar.gz: belongs to none of source.packages; allowed: tool=1:1-2, libx"),
    ],
)
def test_a_file_that_no_package_has_is_named(machine, tmp_path, name, message):
    machine()
    with pytest.raises(InputError, match=message):
        retrieve("toy", entry(name), tmp_path / "toy" / "receipt.json")


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("a.sources", STANZA, [ENTRY]),
        ("a.sources", STANZA.replace("deb\n", "deb deb-src\n").replace("Suites", "suites"), [ENTRY]),
        ("a.sources", STANZA + "Enabled: no\n", []),
        ("a.sources", STANZA.replace("main contrib", "contrib"), []),
        ("a.sources", STANZA.replace("bookworm bookworm-updates", "bookworm-updates trixie"), []),
        ("a.sources", f"Types: deb\nURIs: x:/\nSuites: y\nComponents: main\n\n{STANZA}", [ENTRY]),
        (
            "a.sources",
            STANZA.replace("/usr/share/keyrings/debian.gpg", "\n -----BEGIN\n .\n abc"),
            [ENTRY.replace("/usr/share/keyrings/debian.gpg", "\n -----BEGIN\n .\n abc")],
        ),
        (
            "a.list",
            "# deb http://no.invalid bookworm main\n"
            "deb [arch=amd64 signed-by=/usr/share/keyrings/debian.gpg] http://mirror.invalid/debian bookworm main # x\n"
            "deb cdrom:[Debian 12]/ bookworm main\ndeb http://mirror.invalid/s bookworm-security main\n",
            [ENTRY],
        ),
        (
            "a.list",
            "deb-src http://m.invalid bookworm contrib main\n",
            ["types: deb-src\nuris: http://m.invalid\nsuites: bookworm\ncomponents: main\n"],
        ),
        ("a.list.disabled", "deb http://m.invalid bookworm main\n", []),
    ],
)
def test_entries_come_from_the_system_settings(tmp_path, monkeypatch, file, text, expected):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / file).write_text(text)
    monkeypatch.setattr(apt, "SYSTEM", tmp_path)
    assert list(apt._entries("bookworm")) == expected


def test_a_suite_that_the_system_does_not_list_is_reported(machine, tmp_path):
    here = machine()
    (here / "etc" / "sources.list.d" / "debian.sources").unlink()
    (here / "etc" / "sources.list").write_text("deb http://m.invalid trixie main\n")
    with pytest.raises(InputError, match=f"no entry in {here / 'etc'} lists the component main of the suite bookworm"):
        retrieve("toy", entry(*BOTH), tmp_path / "toy" / "receipt.json")
