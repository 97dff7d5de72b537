"""Draw the areas under the fronts of every predictor, with intervals."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import style
from sparse_attention.plotting.areas import areas


def main(snakemake):
    table, params = read_table(snakemake.input.areas), snakemake.params
    style.require(table, snakemake.input.areas)
    style.save(areas(table, params.window, params.keep, params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
