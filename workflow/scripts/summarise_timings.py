"""Average the timings of the pruned classifiers over seeds, and sum up those of attention over predicted blocks."""

from sparse_attention.attention_timing import table as attention
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import input_paths
from sparse_attention.jobs.script import run
from sparse_attention.summaries.reading import read_runs
from sparse_attention.summaries.statistics import over_seeds

MEASURED = ("milliseconds_per_function", "functions_per_second", "speedup")


def main(snakemake):
    output, runs = snakemake.output, snakemake.params.runs

    def rows(kind, columns):
        return read_runs(input_paths(getattr(snakemake.input, kind)), runs[kind], columns)

    if runs["timings"]:
        frame = rows("timings", ["way", "batch_size", *MEASURED])
        table = over_seeds(frame, ["pruning", "batch_size", "way"], MEASURED, constant=("functions", "tokens"))
        write_table(table, output.pruning_timings)
    if runs["attention_timings"]:
        frame = rows("attention_timings", attention.COLUMNS)
        write_table(frame, output.attention_timings)
        write_table(attention.break_even(frame), output.attention_break_even)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
