"""Measure what each quirk of the published code changes, on a few layers and examples of one run."""

from sparse_attention.deviations import Sample, measure
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.projections.fitting import FitOptions


def main(snakemake):
    """Compare the variants `corrected` and `as_published` on the same data and at the same points."""
    params = snakemake.params
    set_threads(params.threads)
    train, validation = (
        Sample.read(
            getattr(snakemake.input, f"qk_{split}"),
            getattr(snakemake.input, f"gold_{split}"),
            params.layers,
            params.examples[split],
        )
        for split in ("train", "validation")
    )
    sizes = train.info.layers, train.info.examples, validation.info.examples
    logger.info("%d layers, %d train and %d validation examples", *sizes)
    table = measure(train, validation, FitOptions.of(params.options), params.seed)
    write_table(table, snakemake.output.table)
    logger.info("wrote %d rows to %s", len(table), snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
