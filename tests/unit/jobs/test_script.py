"""Scripts end in one line, write whole files or none, and log their progress."""

import errno
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch

from sparse_attention.errors import InputError
from sparse_attention.files import atomic
from sparse_attention.files.atomic import atomic_path
from sparse_attention.jobs import log as logs
from sparse_attention.jobs import script
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.progress import progress


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(rule="toy", log=[str(tmp_path / "logs" / "toy.log")], output=[str(tmp_path / "made.txt")])


def failing(error):
    def main(snakemake):
        raise error

    return main


def test_a_user_error_is_one_line_without_traceback(job, capsys):
    with pytest.raises(SystemExit) as caught:
        script.run(failing(InputError("text.xml: not XML; allowed: a MediaWiki dump")), job)
    assert caught.value.code == 1
    log = open(job.log[0]).read()
    assert "text.xml: not XML" in log and "Traceback" not in log
    assert "text.xml: not XML" in capsys.readouterr().err


def test_an_unexpected_error_leaves_its_traceback_in_the_log_only(job, capsys):
    with pytest.raises(SystemExit):
        script.run(failing(KeyError("missing")), job)
    assert "Traceback" in open(job.log[0]).read()
    terminal = capsys.readouterr().err
    assert "rule toy failed" in terminal and job.log[0] in terminal and "Traceback" not in terminal


def write_to_a_full_disk(snakemake):
    # the device that fails every write as a full disk does
    with open("/dev/full", "w") as stream:
        stream.write("x" * 100_000)


def save_with_torch(snakemake):
    torch.save({"weights": torch.zeros(100_000)}, "/dev/full")


@pytest.mark.parametrize(
    "main",
    [
        pytest.param(
            write_to_a_full_disk, marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
        ),
        pytest.param(save_with_torch, marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")),
        failing(OSError(errno.ENOSPC, "No space left on device")),
        failing(RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")),
        failing(RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 9920 vs 9812")),
    ],
    ids=["device", "torch on device", "python", "rust", "torch"],
)
def test_a_full_disk_is_reported_as_such(job, main):
    with pytest.raises(SystemExit):
        script.run(main, job)
    log = open(job.log[0]).read()
    assert "the disk is full" in log and "Traceback" not in log


def test_success_is_logged(job):
    script.run(lambda snakemake: logs.logger.info("read 3 documents"), job)
    assert "read 3 documents" in open(job.log[0]).read()


def test_atomic_path_keeps_the_old_file_when_writing_fails(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_replaces_files_and_folders(tmp_path):
    for attempt in ("one", "two"):
        with atomic_path(tmp_path / "folder") as partial:
            partial.mkdir()
            (partial / attempt).write_text(attempt)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["two"]


def test_atomic_path_never_shows_half_a_folder(tmp_path, monkeypatch):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "one").touch()
    seen = []
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda path, **_: seen.append((path, sorted(target.iterdir()))))
    with atomic_path(target) as partial:
        partial.mkdir()
        (partial / "two").touch()
    assert seen and all(path != target and names == [target / "two"] for path, names in seen)


def test_progress_yields_everything_and_logs_rate_and_time_left(caplog):
    with caplog.at_level(logging.INFO, logger="sparse_attention"):
        assert list(progress(range(4), 4, "steps", every=0.0)) == [0, 1, 2, 3]
    assert "steps [###############-----] 3/4" in caplog.text and "left" in caplog.text


def test_seeds_and_threads_are_set():
    set_seed(3)
    first = torch.rand(2)
    set_seed(3)
    assert torch.equal(first, torch.rand(2))
    set_threads(1)
    assert torch.get_num_threads() == 1


def allocate_in_python(snakemake):
    bytearray(2**60)


def allocate_in_numpy(snakemake):
    numpy.zeros(2**60, dtype=numpy.uint8)


def allocate_in_torch(snakemake):
    torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("main", "memory"),
    [
        (allocate_in_python, "more memory"),
        (allocate_in_numpy, "more memory"),
        (allocate_in_torch, "more memory"),
        (failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")), "more GPU memory"),
    ],
    ids=["python", "numpy", "torch", "gpu"],
)
def test_too_little_memory_is_one_line(job, main, memory, capsys):
    with pytest.raises(SystemExit):
        script.run(main, job)
    terminal = capsys.readouterr().err
    assert f"rule toy needs {memory} than there is" in terminal and "Traceback" not in terminal
    assert "Traceback" in open(job.log[0]).read()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
@pytest.mark.parametrize("main", [write_to_a_full_disk, failing(KeyError("x"))], ids=["full", "another error"])
def test_a_log_on_a_full_disk_hides_no_message(job, main, capsys):
    os.makedirs(os.path.dirname(job.log[0]))
    os.symlink("/dev/full", job.log[0])
    with pytest.raises(SystemExit):
        script.run(main, job)
    terminal = capsys.readouterr().err
    assert "Traceback" not in terminal and "Logging error" not in terminal
    assert ("the disk is full" if main is write_to_a_full_disk else "KeyError") in terminal


@pytest.mark.parametrize(
    ("device", "cuda", "count", "message"),
    [
        ("cuda", None, 0, "device: 'cuda' needs a PyTorch with CUDA, but "),
        ("cuda:0", "13.0", 0, "device: 'cuda:0' is not available on this machine: see nvidia-smi"),
        ("cuda:2", "13.0", 2, "device: 'cuda:2' is not available on this machine; allowed: auto, cpu, cuda:0, cuda:1"),
        ("cuda:1", "13.0", 2, None),
        ("cuda", "13.0", 1, None),
        ("cpu", None, 0, None),
    ],
    ids=["built without CUDA", "no GPU", "third of two", "second of two", "any", "cpu"],
)
def test_a_missing_device_is_refused(device, cuda, count, message, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if message is None:
        assert resolve_device(device) == device
    else:
        with pytest.raises(InputError, match=f"^{re.escape(message)}"):
            resolve_device(device)


def test_without_a_gpu_auto_is_the_processor_and_cuda_is_refused():
    if not torch.cuda.is_available():
        assert resolve_device("auto") == "cpu"
        with pytest.raises(InputError, match="device: 'cuda'"):
            resolve_device("cuda")


HOSTILE = "caf\udcc3\udca9 \x1b[2J\x1b[31m\rgone\x00 \u2028 日本"


@pytest.mark.parametrize(
    "locale", [{}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}]
)
@pytest.mark.parametrize("how", ["input", "other", "logged", "warned"])
def test_a_message_with_any_characters_is_logged_on_any_terminal(tmp_path, locale, how):
    code = (
        "import sys, warnings\nfrom types import SimpleNamespace\nfrom sparse_attention.jobs import log, script\n"
        "from sparse_attention.errors import InputError\n"
        f"text = {HOSTILE!a} + 'x' * 100_000\n"
        "def fail(error): raise error\n"
        "ways = {'input': lambda _: fail(InputError(text)), 'other': lambda _: fail(KeyError(text)),\n"
        "        'logged': lambda _: log.logger.info('%s', text), 'warned': lambda _: warnings.warn(text)}\n"
        f"job = SimpleNamespace(rule='toy', log=[{str(tmp_path / 'toy.log')!r}], output=['made'])\n"
        f"script.run(ways[{how!r}], job)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(script.__file__).parents[2])} | locale
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False, cwd=tmp_path)
    assert ran.returncode == (how in ("input", "other"))
    log = (tmp_path / "toy.log").read_bytes()
    for written in (log,) if how == "warned" else (log, ran.stderr):
        assert rb"\udcc3\udca9" in written and rb"\x1b[2J\x1b[31m" in written and rb"gone\x00" in written
        assert not set(written) & {0x1B, 0x0D, 0x00}
        written.decode()
    assert b"Logging error" not in ran.stderr and b"Traceback" not in ran.stderr
    if how in ("input", "other"):
        assert len(ran.stderr) < 3000
