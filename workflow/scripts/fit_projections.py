"""Fit the projections of every layer on train queries and keys, with curves on train and validation."""

from pathlib import Path

import pandas as pd

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.progress import ProgressBar
from sparse_attention.jobs.script import run
from sparse_attention.projections.batches import Pairs
from sparse_attention.projections.fitting import FitOptions, fit_layer
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting
from sparse_attention.qk.gold import GoldReader
from sparse_attention.qk.store import QKReader


def main(snakemake):
    params = snakemake.params
    set_threads(params.threads)
    device = resolve_device(params.device)
    setting, options = ProjectionSetting.of(params.setting), FitOptions.of(params.options)
    train = Pairs(QKReader(snakemake.input.qk_train), GoldReader(snakemake.input.gold_train), device)
    validation = Pairs(QKReader(snakemake.input.qk_validation), GoldReader(snakemake.input.gold_validation), device)
    count = train.qk.info.layers
    steps = options.steps(len(train))
    logger.info("%d layers, %d train examples, %d steps a layer, on %s", count, len(train), steps, device)
    bar = ProgressBar(count * steps, "fitting projections")
    layers, curves, done = [], [], 0

    def tick():
        nonlocal done
        done += 1
        bar.update(done, f"layer {len(layers)}")

    for layer in range(count):
        weights, rows = fit_layer(layer, train, validation, setting, options, params.seed, tick)
        layers.append(weights)
        curves.extend(rows)
        logger.info("layer %d: validation loss %.4f to %.4f", layer, rows[1]["loss"], rows[-1]["loss"])
    projections = Projections.of(layers, block_size=setting.block_size, concat=setting.concat)
    source = {"fitted": dict(params.options), "seed": params.seed}
    projections.save(snakemake.output.projections, snakemake.output.info, source)
    projections.save_original(snakemake.output.original)
    write_table(pd.DataFrame(curves), snakemake.output.curves)
    Path(snakemake.output.curves).with_name("imported.json").unlink(missing_ok=True)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
