"""A local server of files that can fail in the ways in which servers and networks fail."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, NamedTuple


class Request(NamedTuple):
    """What a client asked for."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass(frozen=True)
class Reply:
    """An answer without a file."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Break(NamedTuple):
    """After how many bytes an answer ends, and how: by a closed or reset connection, or without an end."""

    after: int
    how: Literal["close", "reset", "stall"] = "close"


@dataclass
class FileServer:
    """Files by path, and what goes wrong when they are asked for.

    Attributes
    ----------
    files, headers : dict
        Contents and headers of files by path.
    redirects : dict
        Answers by path that send the client elsewhere.
    failures : dict
        By path, the answers of the first requests; a number is the status of an empty answer.
    breaks : dict
        By path, where the next answer breaks off.
    requests : list of Request
        Everything that was asked for.
    ranges : bool
        Whether parts of files are sent.
    url : str
        The address of the server.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    redirects: dict[str, Reply] = field(default_factory=dict)
    failures: dict[str, list[int | Reply]] = field(default_factory=dict)
    breaks: dict[str, Break] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    ranges: bool = True
    url: str = ""
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def tokens(self) -> set[str | None]:
        """All contents of the header Authorization."""
        return {request.token for request in self.requests}

    def asked(self, path: str, method: str = "GET") -> list[str | None]:
        """Return the header Range of each request for a path."""
        return [request.range for request in self.requests if (request.method, request.path) == (method, path)]

    def reply(self, request: Request) -> Reply | None:
        """Return the answer to a request, or None when a file is to be sent."""
        if self.failures.get(request.path):
            failure = self.failures[request.path].pop(0)
            return failure if isinstance(failure, Reply) else Reply(failure)
        if request.path in self.redirects:
            return self.redirects[request.path]
        return None if self.files.get(request.path) is not None else self.missing(request)

    def missing(self, request: Request) -> Reply:
        """Return the answer to a request for a path that is not served."""
        return Reply(404)

    def receive(self, request: Request, body: bytes) -> Reply:
        """Return the answer to a request that sends something."""
        return Reply(405)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve on a free port inside a `with` block."""
        with _Quiet(("127.0.0.1", 0), _handler(self)) as http:
            threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
            self.url = f"http://127.0.0.1:{http.server_address[1]}"
            try:
                yield
            finally:
                self._stopped.set()
                http.shutdown()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that break a connection off."""


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def do_POST(self) -> None:
            self.take()

        def do_PUT(self) -> None:
            self.take()

        def take(self) -> None:
            path = self.path.split("?")[0]
            request = Request(self.command, path, None, self.headers.get("Authorization"))
            server.requests.append(request)
            if path in server.breaks:
                self.rfile.read(server.breaks.pop(path).after)
                self.close_connection = True
                return self.connection.close()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            failures = server.failures.get(path)
            failure = failures.pop(0) if failures else None
            reply = Reply(failure) if isinstance(failure, int) else failure or server.receive(request, body)
            self.send(reply.status, reply.headers, reply.body, len(reply.body))

        def answer(self, with_body: bool) -> None:
            path = self.path.split("?")[0]
            request = Request(self.command, path, self.headers.get("Range"), self.headers.get("Authorization"))
            server.requests.append(request)
            reply = server.reply(request)
            if reply is not None:
                return self.send(reply.status, reply.headers, reply.body if with_body else b"", len(reply.body))
            content, headers, start = server.files[path], dict(server.headers.get(path, {})), 0
            if server.ranges and request.range:
                start = int(request.range.removeprefix("bytes=").split("-")[0])
                if start >= len(content):
                    return self.send(416, {}, b"", 0)
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            whole = len(content) - start
            if not with_body:
                return self.send(200, headers, b"", whole)
            end, how = server.breaks.pop(path, Break(len(content)))
            self.send(206 if start else 200, headers, content[start:end], whole)
            if how == "stall":
                server._stopped.wait()
            if how == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            self.close_connection = end < len(content)

        def send(self, status: int, headers: dict[str, str], body: bytes, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

    return Handler
