"""Write the report of the run: one HTML file that includes its figures."""

import json
import os
from pathlib import Path

from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.reporting import page
from sparse_attention.reporting.inputs import Inputs, Setting


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    parts = (input_paths(getattr(given, name, None)) for name in ("tables", "figures"))
    manifest = json.loads(Path(given.manifest).read_text(encoding="utf-8"))
    setting = Setting(params.window, params.keep, params.sparsity)
    folder = Path(snakemake.output.report).parent
    pages = [os.path.relpath(path, folder) for path in input_paths(getattr(given, "pages", None))]
    inputs = Inputs(*parts)
    text = page.render(given.template, inputs, manifest, params.context, setting, pages)
    page.write(text, snakemake.output.report)
    logger.info("%s: %.1f MB", snakemake.output.report, len(text) / 1e6)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
