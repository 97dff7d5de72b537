"""Evaluate a masked language model with attention to all keys, block by block."""

from sparse_attention.data.blocks import Blocks
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.attention import choose_kernels
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.sparse_models.validation import Validation, measure_full


def main(snakemake):
    params = snakemake.params
    set_threads(params.threads)
    device = resolve_device(params.device)
    kernel = choose_kernels(params.kernels, device)["kernel"]
    model = load_masked_lm(snakemake.input.model, params.attention).to(device)
    validation = Validation(Blocks.load(snakemake.input.blocks), **params.validation)
    table = measure_full(model, validation)
    write_table(table, snakemake.output.losses)
    logger.info("%d validation blocks, %s, kernel %s", len(table), params.attention, kernel)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
