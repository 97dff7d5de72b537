"""Downloads from a hub that fails go on, or end in a clear message; nothing half-written gets its final name."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest

from file_server import Break, Reply
from sparse_attention.data.fetch import retrieve
from sparse_attention.data.registry import open_dataset
from sparse_attention.data.sources import retrying, url
from sparse_attention.data.sources.hub_token import hidden_in_logs
from sparse_attention.errors import InputError

SOURCE = {"type": "hub", "repo": "org/tiny", "revision": "main"}
ENTRY = {
    "kind": "model",
    "version": "1",
    "source": SOURCE,
    "files": [{"path": "config.json"}, {"path": "model.safetensors"}],
}
WEIGHTS, CONFIG = "model.safetensors", "config.json"
CONTENT = bytes(range(256)) * 800
STEP = 1 << 14
"""Downloads are written to disk in pieces of so many bytes."""


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """Return the pauses between attempts, which are not waited for."""
    waited: list[float] = []
    monkeypatch.setattr(retrying, "time", SimpleNamespace(sleep=waited.append, time=time.time))
    return waited


@pytest.fixture
def hub(empty_hub, pauses):
    empty_hub.publish(SOURCE, {CONFIG: b'{"model_type": "bert"}', WEIGHTS: CONTENT})
    return empty_hub


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "resources"


def fetch(folder: Path, **changes: object) -> None:
    """Retrieve the model, and check that all is there and nothing else."""
    retrieve("tiny", ENTRY | {"source": SOURCE | changes}, folder / "receipt.json")
    assert {file.name: file.read_bytes() for file in open_dataset(folder / "receipt.json").files} == {
        CONFIG: b'{"model_type": "bert"}',
        WEIGHTS: CONTENT,
    }
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS, "receipt.json"]


def fails(folder: Path, **changes: object) -> str:
    """Return the message of a retrieval that fails, after a check that no file has its final name."""
    with pytest.raises(InputError) as error:
        fetch(folder, **changes)
    assert [path.name for path in folder.iterdir() if path.name != ".download"] == []
    return str(error.value)


def at(hub, name: str):
    """Return the server that sends a file of the model, and the path there."""
    return hub.place(SOURCE, name)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_broken_download_goes_on_where_it_stopped(name, how, hub, folder, pauses):
    server, path = at(hub, name)
    server.breaks[path] = Break(5 * STEP if name == WEIGHTS else 7, how)
    fetch(folder)
    first, second = server.asked(path)
    assert first is None and pauses == [1.0]
    # a reset may cost what was not yet read
    if how == "close" and name == WEIGHTS:
        assert second == f"bytes={5 * STEP}-"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("where", ["list", CONFIG, WEIGHTS])
def test_a_busy_server_is_asked_again_after_growing_pauses(status, where, hub, folder, pauses):
    server, path = (hub, hub.listing(SOURCE)) if where == "list" else at(hub, where)
    server.failures[path] = [status, status]
    fetch(folder)
    assert len(server.asked(path)) == 3 and pauses == [1.0, 2.0]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=12;t=55'}, 1.0),
        ({"Retry-After": "soon"}, 1.0),
        ({"Retry-After": "0"}, 1.0),
        ({"Retry-After": "\u00b2"}, 1.0),
    ],
    ids=["seconds", "window used up", "window not used up", "no number", "at once", "no decimal number"],
)
@pytest.mark.parametrize("where", ["list", WEIGHTS])
def test_a_rate_limit_is_waited_for(headers, expected, where, hub, folder, pauses):
    server, path = (hub, hub.listing(SOURCE)) if where == "list" else at(hub, where)
    server.failures[path] = [Reply(429, headers)]
    fetch(folder)
    assert pauses == [expected] and len(server.asked(path)) == 2


def test_a_rate_limit_until_a_date_is_waited_for(hub, folder, pauses):
    hub.failures[hub.listing(SOURCE)] = [Reply(503, {"Retry-After": formatdate(time.time() + 100, usegmt=True)})]
    fetch(folder)
    assert pauses == [pytest.approx(100, abs=20)]


def test_a_rate_limit_of_an_hour_ends_the_job_with_the_time(hub, folder, pauses):
    server, path = at(hub, WEIGHTS)
    server.failures[path] = [Reply(429, {"Retry-After": "3600"})]
    message = fails(folder)
    assert "the server answers 429 Too Many Requests, and asks to wait 3600 s: run again after that time" in message
    assert pauses == []
    # the small file that came is not asked for again
    hub.requests.clear()
    fetch(folder)
    assert hub.asked(hub.address(SOURCE, CONFIG)) == []


@pytest.mark.parametrize("where", ["list", WEIGHTS])
def test_a_rate_limit_without_end_is_more_than_a_day(where, hub, folder, pauses):
    server, path = (hub, hub.listing(SOURCE)) if where == "list" else at(hub, where)
    server.failures[path] = [Reply(429, {"Retry-After": "9" * 400})]
    assert "asks to wait more than a day: run again" in fails(folder)


@pytest.mark.parametrize("where", ["list", WEIGHTS])
def test_a_server_that_stays_busy_is_given_up(where, hub, folder, pauses):
    server, path = (hub, hub.listing(SOURCE)) if where == "list" else at(hub, where)
    server.failures[path] = [503] * 5
    message = fails(folder)
    assert message.startswith("tiny: cannot be fetched: org/tiny at main: ")
    assert "the server answers 503 Service Unavailable, after 5 attempts" in message
    assert f"`hf download org/tiny {WEIGHTS} --revision main`" in message and f"put it at {folder / WEIGHTS}" in message
    assert len(server.asked(path)) == 5 and pauses == [1.0, 2.0, 4.0, 8.0]
    fetch(folder)


def test_a_server_that_is_not_there_is_told(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    message = fails(folder)
    assert "tiny: cannot be fetched: org/tiny at main: the list of its files: ConnectError, after 5 attempts" in message


def test_a_server_that_falls_silent_is_asked_again(hub, folder, monkeypatch):
    monkeypatch.setattr(url, "TIMEOUT", (5, 0.3))
    server, path = at(hub, WEIGHTS)
    server.breaks[path] = Break(2 * STEP, "stall")
    fetch(folder)
    assert server.asked(path) == [None, f"bytes={2 * STEP}-"]


def test_a_server_that_does_not_send_parts_starts_again(hub, folder):
    server, path = at(hub, WEIGHTS)
    server.ranges, server.breaks[path] = False, Break(5 * STEP)
    fetch(folder)
    assert len(server.asked(path)) == 2


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG], ids=["lfs", "git"])
@pytest.mark.parametrize("change", ["other bytes", "cut short"])
def test_wrong_contents_are_not_kept(name, change, hub, folder):
    right = hub.content(SOURCE, name)
    hub.replace(SOURCE, name, right[:-1] + (b"!" if change == "other bytes" else b""))
    with pytest.raises(InputError) as error:
        fetch(folder)
    kind = "sha256" if name == WEIGHTS else "git sha1"
    problem = f"checksum: expected {kind}" if change == "other bytes" else f"size: expected {len(right)} bytes, found"
    message = str(error.value)
    assert message.startswith(f"tiny: {name} has the wrong {problem}") and "it was not kept" in message
    assert f"`hf download org/tiny {name} --revision main`" in message and f"put it at {folder / name}" in message
    assert not (folder / name).exists() and not (folder / "receipt.json").exists()
    hub.replace(SOURCE, name, right)
    fetch(folder)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"repo": "org/none"}, "org/none at main: RepositoryNotFoundError: 401"),
        ({"revision": "v9"}, "org/tiny at v9: RevisionNotFoundError: 404"),
    ],
    ids=["repository", "revision"],
)
def test_what_the_hub_lacks_is_named(changes, text, hub, folder, pauses):
    message = fails(folder, **changes)
    assert f"tiny: cannot be fetched: {text}" in message and f"hf download {changes.get('repo', 'org/tiny')}" in message
    assert pauses == [] and len(hub.requests) == 1


def test_a_repository_that_is_not_there_is_told_to_a_user_with_a_token(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret1234")
    assert "org/none at main: RepositoryNotFoundError: 404" in fails(folder, repo="org/none")


def test_a_file_that_vanishes_is_named(hub, folder, pauses):
    del hub.redirects[hub.address(SOURCE, WEIGHTS)]
    message = fails(folder)
    assert f"resolve/0123456789abcdef0123456789abcdef01234567/{WEIGHTS}: the server answers 404 Not Found" in message
    assert pauses == []


def test_a_gated_repository_says_what_to_do(hub, folder, monkeypatch):
    hub.gated.add("org/tiny")
    message = fails(folder)
    assert "the server answers 401 Unauthorized; if the repository is private or asks to accept its terms" in message
    assert f"({hub.url}/org/tiny), set HF_TOKEN to a token with access" in message
    monkeypatch.setenv("HF_TOKEN", "hf_secret1234")
    hub.failures[hub.address(SOURCE, CONFIG)] = [403]
    assert "the server answers 403 Forbidden; if the repository is private" in fails(folder)
    fetch(folder)


def test_a_killed_download_goes_on_where_it_stopped(hub, folder):
    server, path = at(hub, WEIGHTS)
    server.breaks[path] = Break(5 * STEP, "stall")
    code = "import sys, json, pathlib\nfrom sparse_attention.data.fetch import retrieve\n"
    code += "retrieve('tiny', json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, json.dumps(ENTRY), str(folder / "receipt.json")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "0"}
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 60
    while sum(part.stat().st_size for part in folder.rglob("*.part")) < 5 * STEP:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [entry.name for entry in folder.iterdir()] == [".download"]
    hub.requests.clear()
    fetch(folder)
    assert server.asked(path) == [None, f"bytes={5 * STEP}-"]
    # the file that had come before is not asked for again
    assert hub.asked(hub.address(SOURCE, CONFIG)) == []


def test_a_part_that_is_whole_is_not_asked_for(hub, folder):
    part = folder / ".download" / "0123456789abcdef0123456789abcdef01234567" / f"{WEIGHTS}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    fetch(folder)
    assert hub.cdn.requests == []


def test_a_part_of_another_commit_is_not_continued(hub, folder):
    part = folder / ".download" / ("f" * 40) / f"{WEIGHTS}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"another version")
    fetch(folder)
    assert hub.cdn.asked(at(hub, WEIGHTS)[1]) == [None]


class TestToken:
    TOKEN = "hf_secret1234"

    @pytest.fixture(autouse=True)
    def token(self, hub, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", self.TOKEN)

    @pytest.fixture
    def log(self, caplog, monkeypatch):
        """Keep what any library logs, at any level."""
        for name in ("sparse_attention", "huggingface_hub", "urllib3", "httpx2", "httpcore2"):
            monkeypatch.setattr(logging.getLogger(name), "propagate", True)
            caplog.set_level(logging.DEBUG, logger=name)
        return caplog

    @property
    def echo(self) -> dict[str, str]:
        """Headers of a server that repeats what it was sent."""
        text = f"topic; bad token {self.TOKEN} in Bearer {self.TOKEN}"
        return {"X-Error-Message": text, "X-HF-Warning": text, "Content-Type": "text/plain"}

    def check(self, folder: Path, log: pytest.LogCaptureFixture, message: str = "") -> None:
        shown = [str(record.__dict__) for record in log.records]
        written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        assert self.TOKEN not in "".join(shown) + log.text + message
        assert self.TOKEN.encode() not in b"".join(written)

    def test_it_goes_to_the_hub_and_not_to_the_server_of_large_files(self, hub, folder, log):
        fetch(folder)
        assert hub.tokens == {f"Bearer {self.TOKEN}"} and hub.cdn.tokens == {None} and hub.cdn.requests
        self.check(folder, log)

    def test_it_is_not_sent_on_when_a_download_is_resumed(self, hub, folder, log):
        hub.cdn.breaks[at(hub, WEIGHTS)[1]] = Break(5 * STEP)
        fetch(folder)
        assert hub.cdn.tokens == {None} and len(hub.cdn.requests) == 2
        self.check(folder, log)

    def test_netrc_does_not_replace_it(self, hub, folder, log, monkeypatch, tmp_path):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        fetch(folder)
        assert f"Bearer {self.TOKEN}" in hub.tokens and "Basic YTpi" not in hub.tokens

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
    @pytest.mark.parametrize("where", ["list", CONFIG, WEIGHTS])
    def test_an_answer_that_repeats_it_is_not_shown(self, status, where, hub, folder, log):
        path = hub.listing(SOURCE) if where == "list" else hub.address(SOURCE, where)
        hub.failures[path] = [Reply(status, self.echo, f"you sent {self.TOKEN}".encode())] * 5
        message = fails(folder)
        print(message)
        self.check(folder, log, message)

    def test_a_success_that_repeats_it_is_not_shown(self, hub, folder, log):
        hub.headers[hub.listing(SOURCE)] = self.echo
        fetch(folder)
        self.check(folder, log)
        assert "bad token ***" in log.text

    def test_one_that_cannot_be_sent_is_not_shown(self, hub, folder, log, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", f"{self.TOKEN}\u2026")
        message = fails(folder)
        assert "the token in HF_TOKEN, or that of `hf auth login`, has characters that no token has" in message
        self.check(folder, log, message)

    @pytest.mark.parametrize("where", ["list", CONFIG])
    def test_one_that_is_not_accepted_is_to_be_renewed(self, where, hub, folder, log):
        path = hub.listing(SOURCE) if where == "list" else hub.address(SOURCE, where)
        hub.failures[path] = [Reply(401, {}, b"Invalid credentials in Authorization header")]
        message = fails(folder)
        assert "is not accepted: renew or remove it" in message and "set HF_TOKEN" not in message
        self.check(folder, log, message)

    def test_a_wrong_call_to_a_log_does_not_end_the_download(self, log):
        with hidden_in_logs():
            logging.getLogger("huggingface_hub").warning("%d files of " + self.TOKEN, "many")
        assert "(a message that cannot be shown)" in log.text and self.TOKEN not in log.text
