"""Turn the prepared functions into tokens of the classifier, cut to its length."""

from pathlib import Path

from sparse_attention.data.code.functions import read_functions
from sparse_attention.data.code.tokens import load_tokenizer, statistics, tokenise
from sparse_attention.data.registry import open_dataset
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.limits import limits_of


def main(snakemake):
    params, folder = snakemake.params, open_dataset(snakemake.input.model).root
    limits, tokenizer = limits_of(folder), load_tokenizer(folder)
    limits.check_classifier(params.max_tokens, params.layers)
    functions = list(read_functions(Path(snakemake.input.functions)))
    tokens = tokenise(functions, tokenizer, params.max_tokens)
    limits.check_vocabulary(int(tokens.ids.max()) + 1, "tokenise_code")
    tokens.save(Path(snakemake.output.tokens), Path(snakemake.output.info))
    table = statistics(tokens)
    write_table(table, snakemake.output.statistics)
    cut = int((tokens.whole_lengths > tokens.lengths).sum())
    logger.info("%d of %d functions are cut to %d tokens", cut, len(functions), params.max_tokens)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
