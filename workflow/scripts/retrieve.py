"""Retrieve a data set, model or bundle of the registry: fetch its files, check them, write the receipt."""

from pathlib import Path

from sparse_attention.archiving.bundle import open_retrieved
from sparse_attention.data.fetch import retrieve
from sparse_attention.jobs.script import run


def main(snakemake):
    receipt = snakemake.output.receipt
    retrieve(snakemake.params.dataset, snakemake.params.entry, Path(receipt))
    if snakemake.params.entry["kind"] == "archive":
        # here, because Snakemake deletes earlier results before a job takes others out of the bundle
        open_retrieved(receipt).check()


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
