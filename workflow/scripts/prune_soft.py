"""Fine-tune a classifier with soft keep weights, and learn the thresholds of its layers."""

from pathlib import Path

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.pruning.options import SoftOptions
from sparse_attention.pruning.stages import fingerprint_of, learned_by, save_stage, settings_of
from sparse_attention.pruning.stored import load_pruned_model, make_pruned
from sparse_attention.pruning.training import Stage, train
from sparse_attention.training.resuming import remove_resume_points


def main(snakemake):
    params, options = snakemake.params, SoftOptions.of(snakemake.params.options)
    set_threads(params.threads)
    set_seed(params.seed)
    tokens, given = CodeTokens.load(snakemake.input.tokens), Path(snakemake.input.model)
    classifier = load_pruned_model(given).classifier.to(resolve_device(params.device))
    model = make_pruned(classifier, settings_of(params.pruning, params.seed))
    before = model.thresholds.values().detach().cpu()
    stage = Stage.soft(options, params.pruning["lambda"])
    fingerprint = fingerprint_of(params, snakemake.input.tokens, given / "model.safetensors")
    training = train(model, tokens, stage, options, params.seed, Path(params.resume), fingerprint)
    write_table(training, snakemake.output.training)
    write_table(learned_by(model, before, tokens, options.eval_batch_size), snakemake.output.thresholds)
    save_stage(model, given, snakemake.output.model)
    remove_resume_points(params.resume)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
