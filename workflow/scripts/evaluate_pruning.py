"""Classify the test functions in every stage and way, and by other choices of as many tokens."""

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.pruning.evaluation import Models, evaluate
from sparse_attention.pruning.model import load_pruned_model
from sparse_attention.scriptio import resolve_device, run, set_threads
from sparse_attention.tables import write_table


def main(snakemake):
    params = snakemake.params
    set_threads(params.threads)
    device, tokens = resolve_device(params.device), CodeTokens.load(snakemake.input.tokens)
    folders = {stage: getattr(snakemake.input, stage, None) for stage in ("dense", "soft", "hard")}
    models = {stage: load_pruned_model(folder).to(device) if folder else None for stage, folder in folders.items()}
    options = params.options
    tables = evaluate(Models(**models), tokens, options["batch_size"], options["baselines"], params.seed)
    write_table(tables[0], snakemake.output.predictions)
    write_table(tables[1], snakemake.output.kept)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
