"""Extract the queries and keys of a trained model on train and validation blocks."""

from pathlib import Path

from sparse_attention.data.blocks import Blocks
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.checksums import sha256_of
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.models.limits import limits_of
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.qk.extraction import extract
from sparse_attention.qk.options import ExtractOptions


def main(snakemake):
    params, folder = snakemake.params, Path(snakemake.input.model)
    options = ExtractOptions.of(params.options)
    set_threads(params.threads)
    set_seed(0)
    blocks = Blocks.load(snakemake.input.blocks)
    limits_of(folder).check_blocks(blocks.info.length, blocks.info.vocabulary)
    model = load_masked_lm(folder, params.attention).to(resolve_device(params.device))
    source = {
        "model": {path.name: sha256_of(path) for path in sorted(folder.glob("*.safetensors"))},
        "blocks": sha256_of(snakemake.input.blocks),
    }
    for split in ("train", "validation"):
        with atomic_path(getattr(snakemake.output, split)) as partial:
            extract(model, blocks, split, partial, options, source)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
