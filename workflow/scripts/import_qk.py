"""Bring a user's own queries and keys into our store: dumps of the originals, or folders of ours."""

from sparse_attention.grids import alpha_of
from sparse_attention.qk.sources import SPLITS, find_sources, import_sources
from sparse_attention.scriptio import run


def main(snakemake):
    """Read `dump`, or `train` and `validation`, and write one store a split."""
    given = {name: getattr(snakemake.input, name, None) for name in ("dump", *SPLITS)}
    paths = find_sources({name: str(path) for name, path in given.items() if path})
    folders = {split: getattr(snakemake.output, split) for split in SPLITS}
    import_sources(paths, folders, snakemake.params.options, alpha_of(snakemake.params.attention))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
