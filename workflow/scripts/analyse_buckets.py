"""Analyse the buckets of one quantizer on a few validation examples: how full they are, and which pairs share one."""

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.evaluation.buckets import analyse
from sparse_attention.evaluation.examples import Split
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.projections.model import load_projections


def main(snakemake):
    """Analyse `params.predictor` at all points of `params.grid`; unneeded inputs are empty or missing."""
    given, params = snakemake.input, snakemake.params
    set_threads(params.threads)

    def optional(name):
        return getattr(given, name, None) or None

    common = (load_projections(optional("projections")), params.block_size)
    centroids = optional("centroids")
    context = Context(params.seed, dict(params.fixed), Centroids.load(centroids) if centroids else None)
    predictor = create(params.predictor, context)
    validation = Split(given.qk, given.gold, *common)
    training = Split(given.qk_train, given.gold_train, *common) if predictor.fits else None
    device = resolve_device(params.device)
    tables = analyse(predictor, validation, params.grid, params.examples, training, device)
    for name, table in tables._asdict().items():
        write_table(table, getattr(snakemake.output, name))
        logger.info("wrote %d rows to %s", len(table), getattr(snakemake.output, name))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
