"""The rule `retrieve` fetches from a hub, as a user runs it: `HF_ENDPOINT` names the hub and `HF_TOKEN` the user."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from file_server import Break, Reply
from hub_layouts import LAYOUTS
from hub_server import HubServer

TINY = "tests/config/tiny.yaml"
NAME = "wikitext-103-raw"
TOKEN = f"hf_{'x1' * 12}"  # not as it is, because the test looks for it in a copy of this file too
SOURCE = yaml.safe_load((Path(__file__).parents[2] / "config/datasets.yaml").read_text(encoding="utf-8"))[NAME][
    "source"
]
TRAIN = "wikitext-103-raw-v1/train-00000-of-00002.parquet"
# large enough to be downloaded in several pieces
FILES = LAYOUTS[NAME]() | {TRAIN: bytes(range(256)) * 200}


@pytest.fixture
def hub():
    """Return a hub with a tiny WikiText."""
    server = HubServer()
    with server.running():
        server.publish(SOURCE, FILES)
        yield server


def retrieve(checkout, hub) -> subprocess.CompletedProcess[str]:
    overlay = f"corpus: wikitext\ncorpora: {{wikitext: {{dataset: {NAME}, format: wikitext}}}}\n"
    configfiles = (TINY, checkout.write("mine.yaml", overlay))
    command = checkout.command(f"resources/{NAME}/b08601e/receipt.json", configfiles=configfiles)
    environment = {**checkout.environment, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN}
    run = subprocess.run(
        command, cwd=checkout.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    files = [path for path in checkout.folder.rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in run.stdout + run.stderr
    return run


def test_a_run_that_a_rate_limit_ends_is_followed_by_one_that_goes_on(checkout, hub):
    _, path = hub.place(SOURCE, TRAIN)
    folder = checkout.folder / "resources" / NAME / "b08601e"
    hub.cdn.failures[path] = [Reply(429, {"Retry-After": "3600"})]
    run = retrieve(checkout, hub)
    assert run.returncode == 1 and "Traceback" not in run.stdout + run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("[retrieve] ") and "cannot be" in line]
    assert f"{NAME}: cannot be fetched: Salesforce/wikitext at b08601e" in line and TRAIN in line
    assert line.endswith("429 Too Many Requests, and asks to wait 3600 s: run again after that time")
    assert f"`hf download Salesforce/wikitext {TRAIN} --repo-type dataset --revision b08601e" in run.stderr
    assert [place.name for place in folder.iterdir()] == [".download"]
    hub.cdn.breaks[path] = Break(32_768)
    run = retrieve(checkout, hub)
    assert run.returncode == 0, run.stdout + run.stderr
    log = (checkout.folder / "results/logs/retrieve" / NAME / "b08601e.log").read_text(encoding="utf-8")
    assert "after 32768 bytes; attempt 2 of 5" in log and hub.cdn.asked(path) == [None, None, "bytes=32768-"]
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.parquet")}
    assert files == {name: content for name, content in FILES.items() if name.startswith("wikitext-103-raw-v1")}
    assert (folder / "receipt.json").is_file() and not (folder / ".download").exists()
    asked = {request.token for request in hub.requests if SOURCE["repo"] in request.path}
    assert asked == {f"Bearer {TOKEN}"} and hub.cdn.tokens == {None}, hub.requests
