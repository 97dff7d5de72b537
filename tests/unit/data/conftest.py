"""Local servers in place of the internet, and a wheel and a model small enough for tests."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass
class Server:
    """Files by path; those in `cuts` break off after so many bytes, once."""

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    ranges: bool = True
    url: str = ""


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = self.path.split("?")[0]
            server.requests.append((self.command, path, self.headers.get("Range")))
            server.tokens.add(self.headers.get("Authorization"))
            content = server.files.get(path)
            if server.failures.get(path):
                return self.empty(server.failures[path].pop(0))
            if content is None:
                return self.empty(404)
            start = 0
            if server.ranges and self.headers.get("Range"):
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-").split("-")[0])
                if start >= len(content):
                    return self.empty(416)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            for name, value in server.headers.get(path, {}).items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                end = server.cuts.pop(path, len(content))
                self.wfile.write(content[start:end])
                self.close_connection = end < len(content)

        def empty(self, status):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(state)) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        state.url = f"http://127.0.0.1:{http.server_address[1]}"
        yield state
        http.shutdown()


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(server, monkeypatch) -> Server:
    """A hub with the model `org/tiny`: a small file under git and a large one, so to speak, under LFS."""
    files = {"config.json": b'{"model_type": "bert"}', "model.safetensors": bytes(range(256)) * 40, "README.md": b"x"}
    siblings = []
    for name, content in files.items():
        sha256 = hashlib.sha256(content).hexdigest()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        large = name.endswith(".safetensors")
        sibling = {"rfilename": name, "size": len(content), "blobId": blob}
        if large:
            sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
        siblings.append(sibling)
        path = f"/org/tiny/resolve/{COMMIT}/{name}"
        server.files[path] = content
        server.headers[path] = {"ETag": f'"{sha256 if large else blob}"', "X-Repo-Commit": COMMIT}
    about = {"id": "org/tiny", "sha": COMMIT, "siblings": siblings}
    server.files["/api/models/org/tiny/revision/main"] = json.dumps(about).encode()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return server


@pytest.fixture
def package_index(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes for the whole package index; it holds the wheel of toy-data 1.0."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toy_data-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_data/inner/text.txt", "hello")
        wheel.writestr("toy_data/inner/config.json", "{}")
        wheel.writestr("toy_data-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n")
        wheel.writestr("toy_data-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("toy_data-1.0.dist-info/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


WORDS = [f"word{number}" for number in range(40)]


@pytest.fixture
def model_folder(tmp_path) -> Path:
    """A model folder with a word-level tokenizer of BERT's special tokens, for blocks of up to 64 tokens."""
    return make_model_folder(tmp_path / "model")


def make_model_folder(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder.mkdir()
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 80}))
    return folder
