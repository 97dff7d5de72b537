"""Retrieve a data set or model of the registry: fetch its files, check them, write the receipt."""

from pathlib import Path

from sparse_attention.data.fetch import retrieve
from sparse_attention.jobs.script import run


def main(snakemake):
    retrieve(snakemake.params.dataset, snakemake.params.entry, Path(snakemake.output.receipt))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
