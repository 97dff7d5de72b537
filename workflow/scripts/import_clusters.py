"""Import a user's centroids: our safetensors, or the torch list or pickled KMeans of the published code."""

from sparse_attention.clusters.centroids import Centroids, check_centroids
from sparse_attention.data.registry import open_dataset
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.originals.centroid_files import Clustering, select_files
from sparse_attention.projections.model import load_projections
from sparse_attention.qk.shape import read_shape


def main(snakemake):
    setting, block_size = snakemake.params.setting, snakemake.params.block_size
    clusters, runs = int(setting["clusters"]), int(setting["runs"])
    projections = load_projections(snakemake.input.projections)
    found = projections.setting
    named = (found.dim, found.shared, block_size, found.concat) if found else (None, None, block_size)
    dataset = open_dataset(snakemake.input.source)
    files = select_files(dataset.files, Clustering(clusters, runs, *named))
    centroids = Centroids.load_files(files)
    shape = read_shape(snakemake.input.shape)
    check_centroids(centroids, projections, shape, clusters, runs, files[0], block_size)
    centroids.save(snakemake.output.clusters)
    dataset.record_import(snakemake.output.imported)
    logger.info("imported the centroids of %d layers from %s", len(centroids.layers), ", ".join(map(str, files)))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
