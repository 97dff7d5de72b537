"""Write published tables as LaTeX."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.summaries import latex, registry


def main(snakemake):
    for name, setting in snakemake.params.settings.items():
        table = registry.create(name)
        text = table.to_latex(read_table(getattr(snakemake.input, name)), setting)
        latex.write(text, getattr(snakemake.output, name))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
