"""Compute the exact support of the full attention, for every example, layer, head and query."""

import pandas as pd

from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.checksums import sha256_of
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.progress import progress
from sparse_attention.jobs.script import run
from sparse_attention.qk.ends import ends_of_layer
from sparse_attention.qk.gold import GoldReader, GoldWriter, gold_of
from sparse_attention.qk.store import SIDECAR, QKReader


def main(snakemake):
    """Write the bit-packed supports and their sparsity per layer and head."""
    set_threads(snakemake.params.threads)
    reader = QKReader(snakemake.input.qk)
    info = reader.info
    logger.info("%s: %d examples, %d layers, %d heads", reader.folder, info.examples, info.layers, info.heads)
    source = {SIDECAR: sha256_of(reader.folder / SIDECAR)}
    with atomic_path(snakemake.output.gold) as folder, GoldWriter(folder, info, source) as writer:
        todo = ((layer, example) for layer in range(info.layers) for example in reader.examples(layer))
        for layer, example in progress(todo, info.layers * info.examples, "gold support"):
            writer.write(layer, example, gold_of(example, info.alpha))
    gold = GoldReader(snakemake.output.gold)
    write_table(sparsity_table(gold), snakemake.output.sparsity)
    logger.info("mean gold sparsity %.4f; wrote %s", gold.sparsity.mean(), gold.folder)


def sparsity_table(gold):
    """Return for each layer and head the gold sparsity, keys per query, and shares of the first and last token."""
    rows = []
    for layer in range(gold.info.layers):
        ends = ends_of_layer(gold, layer)
        for head in range(gold.info.heads):
            measured = gold.sparsity[layer, head], gold.support_size[layer, head], ends.share[head], ends.mass[head]
            rows.append((layer, head, *measured, gold.info.examples))
    columns = ["layer", "head", "gold_sparsity", "support_size", "ends_share", "ends_mass", "examples"]
    return pd.DataFrame(rows, columns=columns)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
