"""Scripts end in one line, write whole files or none, and log their progress."""

import errno
import logging
import os
from types import SimpleNamespace

import pytest
import torch

from sparse_attention import scriptio
from sparse_attention.errors import InputError


@pytest.fixture
def job(tmp_path):
    return SimpleNamespace(rule="toy", log=[str(tmp_path / "logs" / "toy.log")])


def failing(error):
    def main(snakemake):
        raise error

    return main


def test_a_user_error_is_one_line_without_traceback(job, capsys):
    with pytest.raises(SystemExit) as caught:
        scriptio.run(failing(InputError("text.xml: not XML; allowed: a MediaWiki dump")), job)
    assert caught.value.code == 1
    log = open(job.log[0]).read()
    assert "text.xml: not XML" in log and "Traceback" not in log
    assert "text.xml: not XML" in capsys.readouterr().err


def test_an_unexpected_error_leaves_its_traceback_in_the_log_only(job, capsys):
    with pytest.raises(SystemExit):
        scriptio.run(failing(KeyError("missing")), job)
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
def test_a_full_disk_is_said_so(job, main):
    with pytest.raises(SystemExit):
        scriptio.run(main, job)
    log = open(job.log[0]).read()
    assert "the disk is full" in log and "Traceback" not in log


def test_success_is_logged(job):
    scriptio.run(lambda snakemake: scriptio.logger.info("read 3 documents"), job)
    assert "read 3 documents" in open(job.log[0]).read()


def test_atomic_path_keeps_the_old_file_when_writing_fails(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")
    with pytest.raises(RuntimeError), scriptio.atomic_path(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_replaces_files_and_folders(tmp_path):
    for attempt in ("one", "two"):
        with scriptio.atomic_path(tmp_path / "folder") as partial:
            partial.mkdir()
            (partial / attempt).write_text(attempt)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["two"]


def test_progress_yields_everything_and_logs_rate_and_time_left(caplog):
    scriptio.logger.propagate = True
    with caplog.at_level(logging.INFO, logger="sparse_attention"):
        assert list(scriptio.progress(range(4), 4, "steps", every=0.0)) == [0, 1, 2, 3]
    assert "steps [###############-----] 3/4" in caplog.text and "left" in caplog.text


def test_seeds_and_threads_are_set():
    scriptio.set_seed(3)
    first = torch.rand(2)
    scriptio.set_seed(3)
    assert torch.equal(first, torch.rand(2))
    scriptio.set_threads(1)
    assert torch.get_num_threads() == 1


def test_a_missing_device_is_refused():
    assert scriptio.resolve_device("cpu") == "cpu"
    if not torch.cuda.is_available():
        assert scriptio.resolve_device("auto") == "cpu"
        with pytest.raises(InputError, match="device: 'cuda:0'"):
            scriptio.resolve_device("cuda:0")
