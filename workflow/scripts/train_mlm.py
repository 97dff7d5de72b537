"""Fine-tune a masked language model with entmax or softmax attention, and measure it before and after."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from sparse_attention.data.blocks import Blocks
from sparse_attention.data.registry import open_dataset
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.checksums import sha256_of
from sparse_attention.files.plain import write_json
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.attention import Attention, choose_kernels
from sparse_attention.models.masked_lm import load_masked_lm, save_masked_lm
from sparse_attention.training.fine_tuning import METRICS, SETTINGS, train
from sparse_attention.training.loop import training_table
from sparse_attention.training.losses import gold_sparsity
from sparse_attention.training.options import TrainOptions
from sparse_attention.training.resuming import remove_resume_points
from sparse_attention.training.task import MaskedLMTask


def main(snakemake):
    params, options = snakemake.params, TrainOptions.of(snakemake.params.options)
    set_threads(params.threads)
    set_seed(params.seed)
    attention, resume, device = Attention.parse(params.attention), Path(params.resume), resolve_device(params.device)
    kernel = choose_kernels(params.kernels, device)
    dataset = open_dataset(snakemake.input.model)
    model = load_masked_lm(dataset.root, attention, options.head).to(device)
    task = MaskedLMTask(Blocks.load(snakemake.input.blocks), model, options, params.seed)
    before = after = task.measure(model)
    logger.info("validation loss %.4f before training; unigram loss %.4f", before.loss, task.info.unigram_loss)
    training = training_table([], METRICS, SETTINGS)
    if options.source:
        logger.info("train_mlm.source: %s is evaluated without training", dataset.root)
    else:
        fingerprint = {name: getattr(params, name, None) for name in ("code", "attention", "seed", "threads")}
        fingerprint |= {"options": asdict(options), "blocks": sha256_of(snakemake.input.blocks)}
        fingerprint |= {"model": dataset.receipt["files"], "kernel": kernel["kernel"]}
        training, after = train(model, task, attention, resume, fingerprint)
    first = {"step": 0, "phase": "validation", "loss": before.loss, "alpha": attention.alpha}
    write_table(pd.concat([pd.DataFrame([first]), training])[training.columns], snakemake.output.training)
    rows = [losses.row(stage, task.info) for stage, losses in (("before", before), ("after", after))]
    write_table(pd.DataFrame(rows), snakemake.output.evaluation)
    write_table(gold_sparsity(model, task.validation_blocks()), snakemake.output.sparsity)
    write_json(snakemake.output.kernel, kernel)
    with atomic_path(snakemake.output.model) as partial:
        save_masked_lm(model, dataset.root, partial)
    remove_resume_points(resume)
    logger.info("validation loss %.4f, accuracy %.3f after training", after.loss, after.accuracy)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
