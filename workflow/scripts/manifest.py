"""Write down what the run was made from and with."""

from sparse_attention.jobs.manifest import build as build_manifest
from sparse_attention.jobs.manifest import write as write_manifest
from sparse_attention.jobs.script import run
from sparse_attention.summaries.models import listed


def main(snakemake):
    given = snakemake.input
    receipts, tables = (listed(getattr(given, name, None)) for name in ("receipts", "tables"))
    write_manifest(build_manifest(snakemake.params.config, receipts, tables), snakemake.output.manifest)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
