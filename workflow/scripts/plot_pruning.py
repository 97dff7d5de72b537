"""Draw what pruning leaves, what the thresholds learned, and what both cost and keep."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import pruning, style
from sparse_attention.plotting.strength import strength


def main(snakemake):
    given, output, context = snakemake.input, snakemake.output, snakemake.params.context
    tables = {name: read_table(getattr(given, name)) for name in ("pruning", "layers", "kept", "predictions")}
    style.save(pruning.kept_by_layer(tables["layers"], context), output.layers)
    style.save(pruning.quality(tables["pruning"], "f1", context), output.f1)
    style.save(pruning.quality(tables["pruning"], "roc_auc", context), output.roc_auc)
    style.save(pruning.lengths(tables["kept"], tables["predictions"], context), output.lengths)
    learned = read_table(given.thresholds)
    if learned.empty:
        figure = style.blank("Thresholds before and after", style.state(context, learned), "No pruning has thresholds.")
    else:
        figure = pruning.thresholds(learned, context)
    style.save(figure, output.thresholds)
    # asked for only where prunings differ in lambda
    if path := getattr(output, "strength", None):
        style.save(strength(tables["pruning"], context), path)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
