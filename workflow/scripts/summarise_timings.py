"""Average the timings of the pruned classifiers over seeds."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.script import run
from sparse_attention.summaries.reading import read_runs
from sparse_attention.summaries.statistics import over_seeds

MEASURED = ("milliseconds_per_function", "functions_per_second", "speedup")


def main(snakemake):
    files = input_paths(snakemake.input.timings)
    frame = read_runs(files, snakemake.params.runs, ["way", "batch_size", *MEASURED])
    table = over_seeds(frame, ["pruning", "batch_size", "way"], MEASURED, constant=("functions", "tokens"))
    write_table(table, snakemake.output.pruning_timings)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
