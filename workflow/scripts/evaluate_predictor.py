"""Evaluate one predictor on the validation split: recall, sparsity, exactness … per layer, head, point and window."""

from sparse_attention.clusters import Centroids
from sparse_attention.evaluation import Split, evaluate
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.projections import load_projections
from sparse_attention.scriptio import logger, run, set_threads
from sparse_attention.tables import write_table


def main(snakemake):
    """Evaluate `params.predictor` at all points of `params.grid`; inputs that it does not need are empty or absent."""
    params = snakemake.params
    set_threads(params.threads)

    def optional(name):
        return getattr(snakemake.input, name, None) or None

    projections = load_projections(optional("projections"))
    centroids = optional("centroids")
    context = Context(params.seed, dict(params.fixed), Centroids.load(centroids) if centroids else None)
    predictor = create(params.predictor, context)
    validation = Split(snakemake.input.qk, snakemake.input.gold, projections)
    training = Split(snakemake.input.qk_train, snakemake.input.gold_train, projections) if predictor.fits else None
    info = validation.info
    logger.info("%s: %d examples, %d layers, %d heads", snakemake.input.qk, info.examples, info.layers, info.heads)
    table = evaluate(predictor, validation, params.grid, params.windows, params.keep, training)
    write_table(table, snakemake.output.table)
    logger.info("wrote %d rows to %s", len(table), snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
