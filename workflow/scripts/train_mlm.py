"""Fine-tune a masked language model with entmax or softmax attention, and measure it before and after."""

import shutil
from pathlib import Path

import pandas as pd

from sparse_attention.data.blocks import Blocks
from sparse_attention.data.registry import open_dataset, sha256_of
from sparse_attention.models.attention import Attention
from sparse_attention.models.losses import gold_sparsity
from sparse_attention.models.masked_lm import load_masked_lm, save_masked_lm
from sparse_attention.models.task import MaskedLMTask
from sparse_attention.scriptio import atomic_path, logger, resolve_device, run, set_seed, set_threads
from sparse_attention.tables import write_table
from sparse_attention.training import train, training_table


def main(snakemake):
    params, options = snakemake.params, dict(snakemake.params.options)
    set_threads(params.threads)
    set_seed(params.seed)
    attention, resume = Attention.parse(params.attention), Path(params.resume)
    dataset = open_dataset(snakemake.input.model)
    folder = dataset.root
    if options["source"]:
        logger.info("train_mlm.source: %s is evaluated as it is", folder)
        options["steps"] = 0
    model = load_masked_lm(folder, attention, params.head).to(resolve_device(params.device))
    task = MaskedLMTask(Blocks.load(snakemake.input.blocks), model, options, params.seed)

    before = after = task.measure(model)
    logger.info("validation loss %.4f before training; unigram loss %.4f", before.loss, task.info["unigram_loss"])
    training = training_table([])
    if options["steps"]:
        fingerprint = {
            "code": getattr(params, "code", None),
            "attention": params.attention,
            "seed": params.seed,
            "threads": params.threads,
            "head": params.head,
            "options": options,
            "blocks": sha256_of(Path(snakemake.input.blocks)),
            "model": dataset.receipt["files"],
        }
        training, after = train(model, task, attention, resume, fingerprint)
    first = {"step": 0, "phase": "validation", "loss": before.loss, "alpha": attention.alpha}
    write_table(pd.concat([pd.DataFrame([first]), training])[training.columns], snakemake.output.training)
    rows = [losses.row(stage, task.info) for stage, losses in (("before", before), ("after", after))]
    write_table(pd.DataFrame(rows), snakemake.output.evaluation)
    write_table(gold_sparsity(model, task.validation_blocks()), snakemake.output.sparsity)
    with atomic_path(snakemake.output.model) as partial:
        save_masked_lm(model, folder, partial)
    shutil.rmtree(resume, ignore_errors=True)
    logger.info("validation loss %.4f, accuracy %.3f after training", after.loss, after.accuracy)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
