"""Readers with deliberate faults that the fuzz test must detect."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import time
from pathlib import Path

from damaged_values import CANARY
from sparse_attention.errors import InputError
from user_files import Reader


def _file(folder: Path) -> None:
    (folder / "a.txt").write_text("content")


def _refuse(text: str):
    def read(folder: Path) -> None:
        if (folder / "a.txt").is_file() and (folder / "a.txt").read_bytes() == b"content":
            return
        error = InputError("")
        # set directly, because the constructor of InputError corrects the text
        error.args = (text.format(folder / "a.txt"),)
        raise error

    return read


def _only_when_damaged(fault):
    def read(folder: Path) -> None:
        if not (folder / "a.txt").is_file() or (folder / "a.txt").read_bytes() != b"content":
            fault(folder)

    return read


def _connect(folder: Path) -> None:
    with socket.socket() as connection:
        connection.settimeout(0.1)
        try:
            connection.connect(("127.0.0.1", 9))
        except OSError:
            return


def _unpickle(folder: Path) -> None:
    pickle.loads(pickle.dumps(_Made()))


class _Made:
    def __reduce__(self):
        return os.mkdir, (CANARY,)


READERS: dict[str, Reader] = {
    "sound": Reader(_file, _refuse("{}: damaged; allowed: content")),
    "leaks an exception": Reader(_file, _only_when_damaged(lambda folder: int("x"))),
    "exits": Reader(_file, _only_when_damaged(lambda folder: exit(1))),
    "says two lines": Reader(_file, _refuse("{}: damaged\nand more")),
    "names no file": Reader(_file, _refuse("damaged")),
    "shows control characters": Reader(_file, _refuse("{}: damaged \x1b[31m")),
    "shows half a character": Reader(_file, _refuse("{}: damaged \udce9")),
    "gives bad advice": Reader(_file, _refuse("{}: damaged; set weights_only=False")),
    "runs what it reads": Reader(_file, _only_when_damaged(_unpickle)),
    "asks": Reader(_file, _only_when_damaged(lambda folder: input("run it? [y/N]"))),
    "reaches for the network": Reader(_file, _only_when_damaged(_connect)),
    "takes all memory": Reader(_file, _only_when_damaged(lambda folder: bytearray(1 << 42))),
    "hangs": Reader(_file, _only_when_damaged(lambda folder: time.sleep(1000))),
    "crashes": Reader(_file, _only_when_damaged(lambda folder: os.kill(os.getpid(), signal.SIGSEGV))),
    "refuses everything": Reader(_file, lambda folder: _refuse("{}: bad")(folder / "other")),
}
