"""Evaluate a masked language model whose layers attend to predicted supports only, at the points of one predictor."""

from sparse_attention.data.blocks import Blocks
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.sparse_models.building import predicted_attentions
from sparse_attention.sparse_models.measure import measure_predicted
from sparse_attention.sparse_models.validation import Validation


def main(snakemake):
    params, output = snakemake.params, snakemake.output
    set_threads(params.threads)
    model = load_masked_lm(snakemake.input.model, params.attention).to(resolve_device(params.device))
    attentions = predicted_attentions(model, params.points, params, snakemake.input)
    validation = Validation(Blocks.load(snakemake.input.blocks), **params.validation)
    losses, heads = measure_predicted(model, attentions, validation)
    write_table(losses, output.losses)
    write_table(heads, output.heads)
    logger.info("%s: %d points on %d validation blocks", params.predictor, len(attentions), len(validation.indices))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
