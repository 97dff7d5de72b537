"""Evaluate one predictor on the validation split: recall, sparsity, exactness … per layer, head, point and window."""

from sparse_attention.evaluation.loading import load
from sparse_attention.evaluation.sweep import evaluate
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run


def main(snakemake):
    """Evaluate `params.predictor` at all points of `params.grid`; unneeded inputs are empty or missing."""
    params = snakemake.params
    set_threads(1)  # the threads of `evaluate` work on different examples
    predictor, validation, training = load(snakemake.input, params)
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
