"""Classify the test functions with every stage and way of pruning, and with baselines that keep as many tokens."""

import pandas as pd

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.files.tensors import read_safetensors
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.pruning.evaluation import Models, evaluate_pruned
from sparse_attention.pruning.stored import load_pruned_model


def main(snakemake):
    params, given = snakemake.params, snakemake.input
    set_threads(params.threads)
    device, tokens = resolve_device(params.device), CodeTokens.load(given.tokens)
    folders = {stage: getattr(given, stage, None) for stage in ("dense", "soft", "hard")}
    models = {stage: load_pruned_model(folder).to(device) if folder else None for stage, folder in folders.items()}
    weights = read_safetensors(given.weights)["weights"] if params.options["baselines"] else None
    tables = evaluate_pruned(Models(**models), tokens, params.options["batch_size"], weights, params.seed)
    for name, table in zip(("predictions", "kept"), tables, strict=True):
        write_table(pd.concat([read_table(given[f"dense_{name}"]), table]), snakemake.output[name])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
