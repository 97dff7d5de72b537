"""Join what is known of the corpus: its documents and its blocks, per split."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.script import run
from sparse_attention.summaries.models import corpus_table


def main(snakemake):
    table = corpus_table(snakemake.input.documents, getattr(snakemake.input, "blocks", None))
    write_table(table, snakemake.output.corpus)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
