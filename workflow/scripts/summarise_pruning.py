"""Compare the pruned classifiers with the dense ones over seeds, with bootstrap intervals."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.script import run
from sparse_attention.summaries.pruning import quality_tables
from sparse_attention.summaries.reading import read_runs


def main(snakemake):
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    columns = ["system", "way", "function"]
    predictions = read_runs(input_paths(given.predictions), params.runs, [*columns, "label", "probability"])
    kept = read_runs(input_paths(given.kept), params.runs, [*columns, "layer", "kept"])
    quality, gains = quality_tables(predictions, kept, params.replicates)
    write_table(quality, output.pruning)
    write_table(gains, output.pruning_gains)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
