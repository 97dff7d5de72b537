"""Fine-tune the dense classifier of functions."""

from pathlib import Path

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.data.registry import open_dataset
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.loading import load_classifier
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.options import ClassifierOptions
from sparse_attention.pruning.stages import fingerprint_of, save_stage
from sparse_attention.pruning.thresholds import PruningSettings
from sparse_attention.pruning.training import METRICS, SETTINGS, Stage, train
from sparse_attention.training.loop import training_table
from sparse_attention.training.resuming import remove_resume_points


def main(snakemake):
    params, options = snakemake.params, ClassifierOptions.of(snakemake.params.options)
    set_threads(params.threads)
    set_seed(params.seed)
    dataset, tokens = open_dataset(snakemake.input.model), CodeTokens.load(snakemake.input.tokens)
    trained = options.source is not None
    network = load_classifier(dataset.root, options.longformer, tokens.info.max_tokens, require_head=trained)
    model = PrunedClassifier(network.to(resolve_device(params.device)), PruningSettings(final=0.0))
    training = training_table([], METRICS, SETTINGS)
    if trained:
        logger.info("train_classifier.source: %s is used without training", dataset.root)
    else:
        fingerprint = fingerprint_of(params, snakemake.input.tokens, snakemake.input.model)
        training = train(model, tokens, Stage("dense"), options, params.seed, Path(params.resume), fingerprint)
    write_table(training, snakemake.output.training)
    save_stage(model, dataset.root, snakemake.output.model)
    remove_resume_points(params.resume)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
