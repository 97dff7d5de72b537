"""Train a language model further with attention to all keys: the control of training under predicted attention."""

from pathlib import Path

from sparse_attention.data.blocks import Blocks
from sparse_attention.files.checksums import sha256_of_all
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.attention import choose_kernels
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.sparse_models.fine_tuning import train_further
from sparse_attention.sparse_models.validation import Validation, measure_full
from sparse_attention.training.options import TrainOptions
from sparse_attention.training.resuming import remove_resume_points


def main(snakemake):
    params, given, output = snakemake.params, snakemake.input, snakemake.output
    set_threads(params.threads)
    set_seed(params.seed)
    device = resolve_device(params.device)
    kernel = choose_kernels(params.kernels, device)["kernel"]
    blocks, options, resume = Blocks.load(given.blocks), TrainOptions.of(params.options), Path(params.resume)
    model = load_masked_lm(given.model, params.attention).to(device)
    names = ("code", "options", "parameters", "attention", "seed", "threads")
    fingerprint = {name: getattr(params, name, None) for name in names} | {
        "inputs": sha256_of_all(given),
        "kernel": kernel,
    }
    training = train_further(model, blocks, options, params.parameters, params.seed, resume, fingerprint)
    losses = measure_full(model, Validation(blocks, **params.validation))
    write_table(training, output.training)
    write_table(losses, output.losses)
    remove_resume_points(resume)
    logger.info("trained further for %d steps with attention to all keys", options.steps)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
