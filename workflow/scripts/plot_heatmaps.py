"""Draw, per layer and head, the gold sparsity, the best predictor, and sparsity and recall of the chosen predictor."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import heatmaps, style
from sparse_attention.plotting.winners import best_by_head


def main(snakemake):
    params, given, output = snakemake.params, snakemake.input, snakemake.output
    gold, points = read_table(given.gold_sparsity), read_table(given.predictors)
    style.require(gold, given.gold_sparsity)
    style.save(heatmaps.gold_sparsity(gold, params.context), output.gold)
    chosen = heatmaps.chosen_point(points, params.predictor, params.sparsity, params.window, params.keep)
    by_head = read_table(given.predictors_by_head)
    style.save(heatmaps.predictor_heads(chosen, by_head, params.context), output.predictor)
    best = read_table(given.best_by_head)
    style.require(best, given.best_by_head)
    style.save(best_by_head(best, params.context), output.best)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
