"""Turn a retrieved data set of labelled code into functions without repeats, split by project."""

from pathlib import Path

from sparse_attention.data.code.functions import write_functions
from sparse_attention.data.code.prepare import CodeOptions, prepare
from sparse_attention.data.registry import open_dataset
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.script import run


def main(snakemake):
    params = snakemake.params
    prepared = prepare(
        open_dataset(snakemake.input.receipt), params.entry, CodeOptions.of(params.options), params.threads
    )
    write_functions(prepared.functions, Path(snakemake.output.functions))
    write_table(prepared.statistics, snakemake.output.statistics)
    write_table(prepared.intake, snakemake.output.intake)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
