"""Draw recall, mass recall and exactness against sparsity, recall against computation, and recall at every window."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import pareto, style
from sparse_attention.plotting.pareto_points import COMPUTATION


def main(snakemake):
    points = read_table(snakemake.input.predictors)
    style.require(points, snakemake.input.predictors)
    params, output = snakemake.params, snakemake.output
    setting = (params.window, params.keep, params.context)
    for metric in pareto.METRICS:
        # a metric of the user's own is in every table, but has no figure
        if paths := getattr(output, metric, None):
            style.save(pareto.tradeoff(points, metric, *setting), paths)
    style.save(pareto.tradeoff(points, "recall", *setting, across=COMPUTATION), output.computation)
    style.save(pareto.by_window(points, "recall", *setting), output.windows)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
