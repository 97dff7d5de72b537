"""Take results out of the bundle that the run starts from."""

from sparse_attention.archiving.bundle import open_retrieved
from sparse_attention.archiving.stages import differences
from sparse_attention.errors import InputError
from sparse_attention.files.yaml import dotted
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run


def main(snakemake):
    bundle = open_retrieved(snakemake.input.bundle)
    given = snakemake.params
    wrong = differences(bundle, given.stage, given.settings, given.defaults)
    if wrong:
        lines = (f"  {dotted(key)}: {text}" for key, text in wrong.items())
        raise InputError("this run cannot start from the bundle:", *lines)
    for path in snakemake.output:
        bundle.restore(path)
    logger.info("%d files or folders from %s", len(snakemake.output), bundle.place)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
