"""Bring a user's projections into the workflow: our safetensors or the originals' torch list."""

import hashlib
from pathlib import Path

from sparse_attention.projections import Projections, ProjectionSetting, check_projections
from sparse_attention.qk.store import QKReader
from sparse_attention.scriptio import logger, run


def main(snakemake):
    source = Path(snakemake.input.source)
    setting = ProjectionSetting.of(snakemake.params.setting)
    projections = Projections.load(source, setting)
    check_projections(projections, setting, QKReader(snakemake.input.qk_train).info, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    projections.save(snakemake.output.projections, snakemake.output.info, {"imported": source.name, "sha256": digest})
    projections.save_original(snakemake.output.original)
    logger.info("took the projections of %d layers from %s", len(projections.layers), source)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
