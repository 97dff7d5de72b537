"""Export centroids, after checking that scikit-learn and torch assign every validation query and key alike."""

import pandas as pd

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.clusters.fitting import label_agreement, layer_vectors, require_agreement
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.progress import progress
from sparse_attention.jobs.script import run
from sparse_attention.projections.model import load_projections
from sparse_attention.qk.store import QKReader


def main(snakemake):
    set_threads(snakemake.params.threads)
    centroids = Centroids.load(snakemake.input.clusters)
    reader = QKReader(snakemake.input.qk_validation)
    projections = load_projections(snakemake.input.projections)
    rows = []
    for layer in progress(range(reader.info.layers), reader.info.layers, "checking layers"):
        vectors = layer_vectors(reader, projections, layer, snakemake.params.block_size)
        found = label_agreement(vectors, centroids.layer(layer))
        rows.extend({"layer": layer} | row for row in found)
    require_agreement(rows)
    logger.info("scikit-learn and torch agree on %d labels", sum(row["vectors"] for row in rows))
    centroids.save(snakemake.output.centroids)
    centroids.save_original(snakemake.output.original)
    write_table(pd.DataFrame(rows), snakemake.output.agreement)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
