"""Train the classifier anew on the text of the surviving tokens, and evaluate it on the pruned test functions."""

from pathlib import Path

from sparse_attention.data.code.functions import read_functions
from sparse_attention.data.code.tokens import load_tokenizer, tokenise
from sparse_attention.data.registry import open_dataset
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.jobs.compute import resolve_device, set_seed, set_threads
from sparse_attention.jobs.script import run
from sparse_attention.models.loading import load_classifier
from sparse_attention.pruning.evaluation import Row, row_tables
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.options import ClassifierOptions
from sparse_attention.pruning.prediction import predict
from sparse_attention.pruning.stages import fingerprint_of
from sparse_attention.pruning.thresholds import PruningSettings
from sparse_attention.pruning.training import Stage, train
from sparse_attention.training.resuming import remove_resume_points


def main(snakemake):
    params, given, options = snakemake.params, snakemake.input, ClassifierOptions.of(snakemake.params.options)
    set_threads(params.threads)
    set_seed(params.seed)
    folder, functions = open_dataset(given.model).root, list(read_functions(Path(given.functions)))
    tokens = tokenise(functions, load_tokenizer(folder), params.max_tokens)
    network = load_classifier(folder, options.longformer, params.max_tokens)
    model = PrunedClassifier(network.to(resolve_device(params.device)), PruningSettings(final=0.0))
    fingerprint = fingerprint_of(params, given.functions, given.model)
    training = train(model, tokens, Stage("dense"), options, params.seed, Path(params.resume), fingerprint)
    write_table(training, snakemake.output.training)
    test = tokens.of("test").tolist()
    row = Row("retrained", "dropped", predict(model, tokens, test, "dense", options.eval_batch_size, drop=True))
    dense = read_table(given.predictions, ["system", "function", "tokens"])
    whole = dense[dense["system"] == "dense"].drop_duplicates("function").set_index("function")["tokens"]
    predictions, kept = row_tables(row, model, whole.loc[test].to_numpy())
    write_table(predictions, snakemake.output.predictions)
    write_table(kept, snakemake.output.kept)
    remove_resume_points(params.resume)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
