"""Make one published table."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.summaries import registry
from sparse_attention.summaries.base import Inputs


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    table = registry.create(snakemake.wildcards.table)
    tables = dict(zip(table.tables, input_paths(getattr(given, "tables", None)), strict=True))
    files = {kind: FileList(input_paths(getattr(given, kind, None)), params.runs[kind]) for kind in table.needs}
    made = table.make(Inputs(tables, files), params.setting)
    write_table(made, snakemake.output.table)
    logger.info("%s: %d rows", table.name, len(made))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
