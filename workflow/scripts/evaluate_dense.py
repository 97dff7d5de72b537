"""Classify the test functions without pruning, and compute the weight of each token of the vocabulary by attention."""

from safetensors.torch import save_file

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.pruning.evaluation import evaluate_dense
from sparse_attention.pruning.matching import token_weights
from sparse_attention.pruning.stored import load_pruned_model


def main(snakemake):
    params = snakemake.params
    set_threads(params.threads)
    tokens = CodeTokens.load(snakemake.input.tokens)
    model = load_pruned_model(snakemake.input.dense).to(resolve_device(params.device))
    predictions, kept = evaluate_dense(model, tokens, params.batch_size)
    write_table(predictions, snakemake.output.predictions)
    write_table(kept, snakemake.output.kept)
    with atomic_path(snakemake.output.weights) as partial:
        save_file({"weights": token_weights(model, tokens, params.batch_size)}, partial)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
