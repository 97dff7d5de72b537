"""Draw the areas under the fronts of every predictor, with intervals."""

from sparse_attention.plotting import style
from sparse_attention.plotting.areas import areas
from sparse_attention.scriptio import run
from sparse_attention.tables import read_table


def main(snakemake):
    table, params = read_table(snakemake.input.areas), snakemake.params
    style.require(table, snakemake.input.areas)
    style.save(areas(table, params.window, params.keep, params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
