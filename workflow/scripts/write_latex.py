"""Write published tables once more, as LaTeX."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.summaries import latex


def main(snakemake):
    for name in snakemake.params.names:
        table = read_table(getattr(snakemake.input, name))
        latex.write(latex.plain(table, name), getattr(snakemake.output, name))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
