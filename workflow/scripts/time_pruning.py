"""Time a pruned classifier against the dense one on the same functions."""

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.pruning.stored import load_pruned_model
from sparse_attention.pruning.timing import time_ways


def main(snakemake):
    params, options = snakemake.params, snakemake.params.options
    set_threads(params.threads)
    device, tokens = resolve_device(params.device), CodeTokens.load(snakemake.input.tokens)
    dense, hard = (load_pruned_model(getattr(snakemake.input, stage)).to(device) for stage in ("dense", "hard"))
    functions = tokens.of("test").tolist()[: options["functions"]]
    table = time_ways(dense, hard, tokens, functions, options["batch_sizes"], options["repeats"])
    for row in table.itertuples():
        logger.info(
            "batches of %d, %s: %.2f times as fast as the dense model without padding",
            row.batch_size,
            row.way,
            row.speedup,
        )
    write_table(table, snakemake.output.timings)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
