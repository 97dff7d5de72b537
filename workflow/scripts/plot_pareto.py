"""Draw recall, mass recall and exactness against sparsity, at the chosen window and at every window."""

from sparse_attention.plotting import pareto, style
from sparse_attention.scriptio import run
from sparse_attention.tables import read_table


def main(snakemake):
    points, fronts = read_table(snakemake.input.predictors), read_table(snakemake.input.pareto)
    style.require(points, snakemake.input.predictors)
    fronts["windows"] = fronts["windows"].astype(str)
    params, output = snakemake.params, snakemake.output
    for metric in pareto.NAMES:
        figure = pareto.tradeoff(points, fronts, metric, params.window, params.keep, params.context)
        style.save(figure, getattr(output, metric))
    style.save(pareto.small_multiples(points, fronts, "recall", params.keep, params.context), output.windows)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
