"""Time attention over predicted blocks against dense attention, by length."""

import pandas as pd

from sparse_attention.attention_timing.inputs import Stored
from sparse_attention.attention_timing.rows import Wanted, timed_rows
from sparse_attention.attention_timing.table import COLUMNS, label_of
from sparse_attention.block_sparse.dispatch import use_kernels
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run


def main(snakemake):
    params, options = snakemake.params, snakemake.params.options
    set_threads(options["threads"])
    conditions = {"threads": options["threads"], "kernel": use_kernels(params.kernels)["kernel"]}
    stored = Stored(snakemake.input.qk)
    wanted = Wanted(
        options["predictors"],
        options["kept"],
        [options["block"]],
        options["computed"],
        stored.info.alpha,
        options["repeats"],
    )
    rows = []
    for length in stored.lengths(options["lengths"]):
        logger.info("%d tokens of layer %d", length, stored.layer)
        for row in timed_rows(stored.at(length), wanted):
            rows.append({**row, "label": label_of(row["method"]), **conditions})
            text = "%s, %s, order of %s: %.3g ms, %.2f times as fast as dense softmax"
            logger.info(text, *(rows[-1][name] for name in ("label", "computed", "order", "total_ms", "speedup")))
    write_table(pd.DataFrame(rows, columns=list(COLUMNS)), snakemake.output.timings)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
