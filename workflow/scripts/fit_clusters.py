"""Fit k-means clusters to the projected train queries and keys of every layer and head."""

from pathlib import Path

import pandas as pd

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.clusters.fitting import ClusterOptions, fit_clusters, layer_vectors
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.progress import progress
from sparse_attention.jobs.script import run
from sparse_attention.projections.model import load_projections
from sparse_attention.qk.store import QKReader


def main(snakemake):
    params = snakemake.params
    set_threads(params.threads)
    reader = QKReader(snakemake.input.qk_train)
    projections = load_projections(snakemake.input.projections)
    options = ClusterOptions.of(params.options)
    clusters, runs = int(params.setting["clusters"]), int(params.setting["runs"])
    layers, rows = [], []
    for layer in progress(range(reader.info.layers), reader.info.layers, "clustering layers"):
        vectors = layer_vectors(reader, projections, layer, params.block_size)
        centroids, fits = fit_clusters(
            vectors, clusters, runs, params.seed, options, layer=layer, threads=params.threads
        )
        layers.append(centroids)
        rows.extend(fits)
    unfinished = sum(row["iterations"] >= options.max_iterations for row in rows)
    logger.info("%d clusters, %d fits, %d stopped at fit_clusters.max_iterations", clusters, len(rows), unfinished)
    Centroids(tuple(layers)).save(snakemake.output.clusters)
    write_table(pd.DataFrame(rows), snakemake.output.inertia)
    Path(snakemake.output.inertia).with_name("imported.json").unlink(missing_ok=True)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
