"""Cut the documents of a corpus into blocks of a model's tokens."""

from pathlib import Path

from sparse_attention.data.documents import read_documents
from sparse_attention.data.registry import open_dataset
from sparse_attention.data.tokenising import Tokeniser, collect, save, statistics
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.script import run


def main(snakemake):
    params = snakemake.params
    tokeniser = Tokeniser(open_dataset(snakemake.input.model).root, params.length)
    splits = collect(read_documents(Path(snakemake.input.documents)), tokeniser, params.min_length)
    save(Path(snakemake.output.blocks), Path(snakemake.output.info), splits, tokeniser)
    write_table(statistics(splits), snakemake.output.statistics)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
