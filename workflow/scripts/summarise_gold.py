"""Average the gold sparsity of every layer and head over seeds."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import listed
from sparse_attention.jobs.script import run
from sparse_attention.summaries.models import gold_sparsity_table, read_runs


def main(snakemake):
    columns = ["layer", "head", "gold_sparsity", "support_size", "examples"]
    gold = read_runs(listed(snakemake.input.gold), snakemake.params.runs, columns)
    write_table(gold_sparsity_table(gold), snakemake.output.gold_sparsity)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
