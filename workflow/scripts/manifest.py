"""Write down what the run was made from and with."""

from sparse_attention import provenance_manifest
from sparse_attention.scriptio import run
from sparse_attention.summaries.models import listed


def main(snakemake):
    given = snakemake.input
    receipts, tables = (listed(getattr(given, name, None)) for name in ("receipts", "tables"))
    manifest = provenance_manifest.build(snakemake.params.config, receipts, tables)
    provenance_manifest.write(manifest, snakemake.output.manifest)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
