"""Freeze the thresholds, make the masks hard, and train the weights further if epochs are configured."""

from pathlib import Path

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.pruning.options import StageOptions
from sparse_attention.pruning.stages import fingerprint_of, hardened, save_stage
from sparse_attention.pruning.stored import load_pruned_model
from sparse_attention.pruning.training import METRICS, SETTINGS, Stage, train
from sparse_attention.training.loop import training_table
from sparse_attention.training.resuming import remove_resume_points


def main(snakemake):
    params, options = snakemake.params, StageOptions.of(snakemake.params.options)
    set_threads(params.threads)
    set_seed(params.seed)
    tokens, given = CodeTokens.load(snakemake.input.tokens), Path(snakemake.input.model)
    model = hardened(load_pruned_model(given), params.pruning, params.seed).to(resolve_device(params.device))
    training = training_table([], METRICS, SETTINGS)
    if options.epochs:
        fingerprint = fingerprint_of(params, snakemake.input.tokens, given / "model.safetensors")
        training = train(model, tokens, Stage("hard"), options, params.seed, Path(params.resume), fingerprint)
    write_table(training, snakemake.output.training)
    save_stage(model, given, snakemake.output.model)
    remove_resume_points(params.resume)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
