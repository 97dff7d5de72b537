"""Import a user's projections: our safetensors, or the torch list of the published code."""

from sparse_attention.data.registry import open_dataset
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.projections.model import Projections, check_projections
from sparse_attention.projections.weights import ProjectionSetting
from sparse_attention.qk.shape import read_shape


def main(snakemake):
    dataset = open_dataset(snakemake.input.source)
    source, digest = dataset.only_file("fit_projections.source"), dataset.receipt["files"][0]["sha256"]
    setting = ProjectionSetting.of(snakemake.params.setting)
    projections = Projections.load(source, setting)
    check_projections(projections, setting, read_shape(snakemake.input.shape), source)
    projections.save(snakemake.output.projections, snakemake.output.info, {"imported": source.name, "sha256": digest})
    projections.save_original(snakemake.output.original)
    dataset.record_import(snakemake.output.imported)
    logger.info("imported the projections of %d layers from %s", len(projections.layers), source)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
