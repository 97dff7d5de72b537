"""A run says before its first job what the machine lacks."""

from __future__ import annotations

TINY = "tests/config/tiny.yaml"


def test_too_little_room_on_the_disk_is_told(checkout):
    overlay = checkout.write("many.yaml", "extract_qk: {examples: {train: 1000000000}}\n")
    run = checkout.snakemake("--dry-run", "--quiet", configfiles=(TINY, overlay))
    (line,) = [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("The disk may be")]
    # queries and keys take 24.6 TB, their gold support the rest
    assert line.startswith("The disk may be too small: 26.5 TB are needed in results, but ")
    assert "lower extract_qk.examples" in line


def test_too_little_memory_is_told_and_the_run_starts(checkout):
    receipt = "resources/tiny-model/local/receipt.json"
    run = checkout.snakemake(receipt, "--set-resources", "retrieve:mem_mb=99999999")
    told = "retrieve may need 99999999 MiB of memory, but this machine has "
    assert len([line for line in run.stderr.splitlines() if line.startswith(told)]) == 1, run.stderr
    assert run.returncode == 0 and (checkout.folder / receipt).exists()


def test_memory_that_is_known_later_is_not_compared(checkout):
    memory = "prepare_code:mem_mb=max(2*input.size_mb,1000)"
    run = checkout.snakemake("results/code/tiny/functions.parquet", "--set-resources", memory)
    assert run.returncode == 0, run.stderr
