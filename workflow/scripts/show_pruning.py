"""Write a page that shows for some test functions which layer prunes which token."""

from pathlib import Path

from sparse_attention.data.code.functions import read_functions
from sparse_attention.data.code.languages import check_language
from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.files.atomic import atomic_path
from sparse_attention.jobs.compute import resolve_device, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.pruning.export import trace
from sparse_attention.pruning.stored import load_pruned_model
from sparse_attention.reporting.gallery import choose_functions, render


def main(snakemake):
    params, options = snakemake.params, snakemake.params.options
    check_language(options["language"])
    set_threads(params.threads)
    model = load_pruned_model(snakemake.input.model).to(resolve_device(params.device))
    functions, tokens = list(read_functions(Path(snakemake.input.functions))), CodeTokens.load(snakemake.input.tokens)
    traced = trace(model, tokens, tokens.of("test").tolist(), params.batch_size)
    chosen = {number: traced[number] for number in choose_functions(functions, traced, options["functions"])}
    layers = len(model.thresholds.base)
    text = render(snakemake.input.template, functions, chosen, layers, options["language"], params.context)
    with atomic_path(snakemake.output.page) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
