"""Draw one figure from the tables that it needs."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import registry, style


def main(snakemake):
    figure = registry.create(snakemake.wildcards.figure)
    paths = {name: getattr(snakemake.input, name) for name in figure.needs}
    tables = {name: read_table(path) for name, path in paths.items()}
    for name in set(figure.needs) - set(figure.may_be_empty):
        style.require_rows(tables[name], paths[name])
    style.save(figure.draw(tables, snakemake.params.setting), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
