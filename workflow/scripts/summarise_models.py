"""Average the language models' quality and their training curves over seeds."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import listed
from sparse_attention.jobs.script import run
from sparse_attention.summaries import latex, models


def main(snakemake):
    given, output, runs = snakemake.input, snakemake.output, snakemake.params.runs

    def read(name, columns):
        return models.read_runs(listed(getattr(given, name)), runs, columns)

    evaluations = read("evaluation", ["stage", *models.MEASURED])
    table = models.masked_lm_table(evaluations, read("sparsity", ["layer", "head", "gold_sparsity"]))
    write_table(table, output.masked_lm)
    latex.write(latex.masked_lm(table), output.masked_lm_tex)
    training = read("training", ["step", "phase", *models.TRAINING])
    write_table(models.training_table(training), output.training)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
