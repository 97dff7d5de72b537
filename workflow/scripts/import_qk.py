"""Import a user's queries and keys: dumps of the published code, or folders in our format."""

from sparse_attention.data.registry import open_dataset
from sparse_attention.files.segments import alpha_of
from sparse_attention.jobs.script import run
from sparse_attention.qk.options import ExtractOptions
from sparse_attention.qk.sources import SPLITS, find_sources, import_sources

KEY = "extract_qk.source"


def main(snakemake):
    """Read `dump`, or `train` and `validation`, and write a folder for each split."""
    given = {name: getattr(snakemake.input, name, None) for name in ("dump", *SPLITS)}
    brought = {name: open_dataset(receipt) for name, receipt in given.items() if receipt}
    paths = find_sources({name: str(dataset.file_or_folder(KEY)) for name, dataset in brought.items()})
    folders = {split: getattr(snakemake.output, split) for split in SPLITS}
    options = ExtractOptions.of(snakemake.params.options)
    import_sources(paths, folders, options, alpha_of(snakemake.params.attention))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
