"""Summarise the pruned classifiers over seeds, with intervals."""

from sparse_attention.files.tables import read_table, write_table
from sparse_attention.jobs.inputs import listed
from sparse_attention.jobs.script import run
from sparse_attention.summaries import models, pruning


def main(snakemake):
    given, output, params = snakemake.input, snakemake.output, snakemake.params

    def read(name, runs, columns):
        return models.read_runs(listed(getattr(given, name, None)), runs, columns)

    predictions = read("predictions", params.runs, ["system", "way", "function", "label", "probability"])
    kept = read("kept", params.runs, ["system", "way", "function", "layer", "kept"])
    quality, gains = pruning.quality_tables(predictions, kept, params.replicates)
    write_table(quality, output.pruning)
    write_table(gains, output.pruning_gains)
    write_table(pruning.layers_table(kept, predictions), output.pruning_layers)
    thresholds = read("thresholds", params.soft_runs, ["layer", "before", "after", "kept"])
    write_table(pruning.thresholds_table(thresholds), output.thresholds)
    training = read("training", params.stages, ["step", "phase", *pruning.TRAINING])
    write_table(pruning.training_table(training), output.pruning_training)
    write_table(read_table(given.statistics), output.code_tokens)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
