"""Train a language model further under predicted attention, measure it, and save it with its predictors."""

from pathlib import Path

from sparse_attention.data.blocks import Blocks
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.checksums import sha256_of_all
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.sparse_models.building import predicted_attentions
from sparse_attention.sparse_models.export import export
from sparse_attention.sparse_models.fine_tuning import train_further
from sparse_attention.sparse_models.folder import make_sparse
from sparse_attention.sparse_models.measure import measure_predicted
from sparse_attention.sparse_models.validation import Validation
from sparse_attention.training.options import TrainOptions
from sparse_attention.training.resuming import remove_resume_points


def main(snakemake):
    params, given, output = snakemake.params, snakemake.input, snakemake.output
    set_threads(params.threads)
    set_seed(params.seed)
    blocks, options, resume = Blocks.load(given.blocks), TrainOptions.of(params.options), Path(params.resume)
    model = load_masked_lm(given.model, params.attention).to(resolve_device(params.device))
    (predicted,) = predicted_attentions(model, [params.single], params, given)
    make_sparse(model, predicted)
    names = ("code", "predictor", "fixed", "single", "options", "parameters", "attention", "seed", "threads")
    fingerprint = {name: getattr(params, name, None) for name in names} | {"inputs": sha256_of_all(given)}
    training = train_further(model, blocks, options, params.parameters, params.seed, resume, fingerprint)
    losses, heads = measure_predicted(model, [predicted], Validation(blocks, **params.validation))
    for name, table in (("training", training), ("losses", losses), ("heads", heads)):
        write_table(table, getattr(output, name))
    with atomic_path(output.model) as partial:
        export(model, predicted, given.model, partial, params.name, {"trained further": f"{options.steps} steps"})
    remove_resume_points(resume)
    logger.info("%s: trained further for %d steps", params.predictor, options.steps)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
