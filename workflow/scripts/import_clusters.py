"""Bring a user's centroids into the workflow: our safetensors or the originals' torch list."""

from sparse_attention.clusters import Centroids, check_centroids
from sparse_attention.projections import load_projections
from sparse_attention.qk.store import QKReader
from sparse_attention.scriptio import logger, run


def main(snakemake):
    source, setting = snakemake.input.source, snakemake.params.setting
    centroids = Centroids.load(source)
    projections = load_projections(snakemake.input.projections)
    info = QKReader(snakemake.input.qk_train).info
    check_centroids(centroids, projections, info, int(setting["clusters"]), int(setting["runs"]), source)
    centroids.save(snakemake.output.clusters)
    logger.info("took the centroids of %d layers from %s", len(centroids.layers), source)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
