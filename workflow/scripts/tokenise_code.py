"""Turn the prepared functions into tokens of the classifier, cut to its length."""

from pathlib import Path

from sparse_attention.data.code.functions import read_functions
from sparse_attention.data.code.tokens import load_tokenizer, statistics, tokenise
from sparse_attention.data.registry import open_dataset
from sparse_attention.scriptio import logger, run
from sparse_attention.tables import write_table


def main(snakemake):
    functions = list(read_functions(Path(snakemake.input.functions)))
    tokenizer = load_tokenizer(open_dataset(snakemake.input.model).root)
    tokens = tokenise(functions, tokenizer, snakemake.params.max_tokens)
    tokens.save(Path(snakemake.output.tokens), Path(snakemake.output.info))
    table = statistics(tokens)
    write_table(table, snakemake.output.statistics)
    cut = int((tokens.whole_lengths > tokens.lengths).sum())
    logger.info("%d of %d functions are cut to %d tokens", cut, len(functions), snakemake.params.max_tokens)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
