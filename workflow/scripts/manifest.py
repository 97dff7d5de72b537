"""Write the manifest: the data, code, packages, settings and hardware of the run."""

from sparse_attention.archiving.bundle import open_retrieved
from sparse_attention.files.plain import write_json
from sparse_attention.jobs import manifest
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.script import run


def main(snakemake):
    given = snakemake.input
    named = ("receipts", "kernels", "tables", "bundle")
    receipts, kernels, tables, bundles = (input_paths(getattr(given, name, None)) for name in named)
    archived = [open_retrieved(path) for path in bundles]
    data = [receipt for bundle in archived for receipt in bundle.data]
    trained = [] if kernels else [kernel for bundle in archived for kernel in bundle.manifest.get("kernels", [])]
    content = manifest.build(snakemake.params.config, receipts, kernels, tables, data, trained)
    write_json(snakemake.output.manifest, content, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
