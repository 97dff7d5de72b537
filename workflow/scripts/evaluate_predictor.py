"""Evaluate one predictor on the validation split: recall, sparsity, exactness … per layer, head, point and window."""

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.evaluation.examples import Split
from sparse_attention.evaluation.sweep import evaluate
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.projections.model import load_projections


def main(snakemake):
    """Evaluate `params.predictor` at all points of `params.grid`; unneeded inputs are empty or missing."""
    params = snakemake.params
    set_threads(1)  # the threads of `evaluate` work on different examples

    def optional(name):
        return getattr(snakemake.input, name, None) or None

    projections = load_projections(optional("projections"))
    centroids = optional("centroids")
    context = Context(params.seed, dict(params.fixed), Centroids.load(centroids) if centroids else None)
    predictor = create(params.predictor, context)
    common = (projections, params.block_size)
    validation = Split(snakemake.input.qk, snakemake.input.gold, *common)
    training = Split(snakemake.input.qk_train, snakemake.input.gold_train, *common) if predictor.fits else None
    info = validation.info
    logger.info("%s: %d examples, %d layers, %d heads", snakemake.input.qk, info.examples, info.layers, info.heads)
    device = resolve_device(params.device)
    grid, windows, keep = params.grid, params.windows, params.keep
    tables = evaluate(predictor, validation, grid, windows, keep, training, device, params.threads)
    for name, table in tables._asdict().items():
        write_table(table, getattr(snakemake.output, name))
        logger.info("wrote %d rows to %s", len(table), getattr(snakemake.output, name))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
