"""Map one example's attention in a few heads: the gold probabilities, and the pairs that a predictor keeps."""

from sparse_attention.data.blocks import Blocks
from sparse_attention.evaluation.loading import load
from sparse_attention.evaluation.maps import Asked, map_attention, positions, token_texts
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.hub import load_tokenizer


def main(snakemake):
    """Map `params.predictor` at the fitting point of `params.grid`; unneeded inputs are empty or missing."""
    given, params = snakemake.input, snakemake.params
    set_threads(params.threads)
    predictor, validation, training = load(given, params)
    asked = Asked.of(params.asked, validation.info)
    if getattr(given, "blocks", None):
        texts = token_texts(Blocks.load(given.blocks), load_tokenizer(given.model), asked.example, validation.info)
    else:
        texts = positions(asked.example, validation.info)
    table = map_attention(predictor, validation, params.grid, asked, texts, training, resolve_device(params.device))
    write_table(table, snakemake.output.map)
    logger.info("wrote %d rows to %s", len(table), snakemake.output.map)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
