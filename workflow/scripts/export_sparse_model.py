"""Save a language model together with the predictors of one point, as a folder that `load_sparse_model` opens."""

from sparse_attention.files.atomic import atomic_path
from sparse_attention.jobs.compute import set_threads
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.script import run
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.sparse_models.building import predicted_attentions
from sparse_attention.sparse_models.export import export
from sparse_attention.sparse_models.folder import make_sparse


def main(snakemake):
    params, given = snakemake.params, snakemake.input
    set_threads(params.threads)
    model = load_masked_lm(given.model, params.attention)
    (predicted,) = predicted_attentions(model, [params.single], params, given)
    make_sparse(model, predicted)
    with atomic_path(snakemake.output.model) as partial:
        export(model, predicted, given.model, partial, params.name)
    logger.info("saved %s under %s in %s", params.name, params.predictor, snakemake.output.model)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
