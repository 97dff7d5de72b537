"""Write the pruned data set: every token with the last layer that it reaches, and the text of the surviving tokens."""

from pathlib import Path

from sparse_attention.data.code.functions import read_functions, write_functions
from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.atomic import atomic_path
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.pruning.export import pruned_functions, rows, trace, write_csvs, write_rows
from sparse_attention.pruning.stored import load_pruned_model


def main(snakemake):
    params, output = snakemake.params, snakemake.output
    set_threads(params.threads)
    model = load_pruned_model(snakemake.input.model).to(resolve_device(params.device))
    functions, tokens = list(read_functions(Path(snakemake.input.functions))), CodeTokens.load(snakemake.input.tokens)
    traced, layers = trace(model, tokens, range(len(functions)), params.batch_size), len(model.thresholds.base)
    write_rows(list(rows(functions, traced, layers)), Path(output.parquet), Path(output.jsonl))
    left = list(pruned_functions(functions, traced, layers))
    write_functions(left, Path(output.functions))
    with atomic_path(output.csv) as partial:
        write_csvs(left, partial)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
