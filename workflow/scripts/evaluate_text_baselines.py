"""Evaluate the classifiers without a neural network on the prepared functions."""

from pathlib import Path

from sparse_attention.data.code.functions import read_functions
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.script import run
from sparse_attention.pruning.text_baselines import text_baselines


def main(snakemake):
    functions = list(read_functions(Path(snakemake.input.functions)))
    write_table(text_baselines(functions, snakemake.params.seed), snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
