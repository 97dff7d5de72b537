"""Summarise the language model under predicted attention; a broken invariant ends the run without a table."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.summaries import sparse_mlm_invariants
from sparse_attention.summaries.sparse_mlm import sparse_mlm_tables
from sparse_attention.summaries.sparse_mlm_jobs import read_jobs


def main(snakemake):
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    files = {kind: FileList(input_paths(getattr(given, kind, None)), runs) for kind, runs in params.runs.items()}
    jobs = read_jobs(files)
    sparse_mlm_invariants.check(jobs)
    logger.info("%d jobs with %d points: all invariants hold", len(jobs), sum(len(list(job.points())) for job in jobs))
    for name, table in sparse_mlm_tables(jobs, params.replicates).items():
        write_table(table, getattr(output, name))
        logger.info("%s: %d rows", name, len(table))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
