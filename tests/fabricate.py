"""Tables as the jobs of a run write them, made up: small, and plausible enough to draw."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from sparse_attention.attention_timing.table import label_of
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.predictors.registry import discover

LEARNED = "kind~linear_dim~4_shared~true"
CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}
POINTS = {
    "cos": (LEARNED, {"threshold~0.1": (0.99, 0.24), "threshold~0.6": (0.891, 0.67)}),
    "kmeans": (
        LEARNED,
        {
            "clusters~4_runs~1_top~1": (0.7, 0.41),
            "clusters~8_runs~1_top~1": (0.96, 0.26),
            "clusters~8_runs~1_top~2": (0.85, 0.55),
        },
    ),
    "window": ("kind~none", {"width~11": (0.957, 0.26), "width~51": (0.811, 0.43)}),
    "oracle": ("kind~none", {"keys~2": (0.992, 0.48), "keys~32": (0.875, 0.99)}),
    "random": ("kind~none", {"sparsity~0.8": (0.8, 0.2), "sparsity~0.98": (0.98, 0.02)}),
}
"""Predictor: its projection, and the sparsity and recall of its points."""
RUN_POINTS = {
    "oracle": ("kind~none", {("keys~2", 0, "none"): (0.992, 0.7), ("keys~8", 0, "none"): (0.969, 0.93),
                             ("keys~32", 0, "none"): (0.875, 0.999)}),
    "random": ("kind~none", {("sparsity~0.95", 0, "none"): (0.95, 0.05)}),
    "window": ("kind~none", {("width~1", 0, "none"): (0.996, 0.06), ("width~25", 0, "none"): (0.905, 0.45)}),
    "bigbird": ("kind~none", {("random_keys~3", 0, "none"): (0.96, 0.25)}),
    "cos": (LEARNED, {("threshold~0.1", 0, "none"): (0.985, 0.4), ("threshold~0.6", 0, "none"): (0.891, 0.8)}),
    "kmeans": (LEARNED, {("clusters~16_runs~1_top~1", 0, "none"): (0.948, 0.5),
                         ("clusters~16_runs~1_top~2", 11, "cls+last"): (0.86, 0.75)}),
}  # fmt: skip
"""Predictor: its projection, and the sparsity and mass recall of the points at which the language model runs."""
BLOCKS = 2
"""Number of blocks of each document at which the language model runs."""
DOCUMENTS, EXAMPLES = 8, 4
KEEP = ("none", "cls", "last", "cls+last")
DISTANCES = ("0", "1", "2", "3-4", "5-8", "9-16", ">16")


def job(**parts: dict[str, Any]) -> SimpleNamespace:
    """Return what a script gets from Snakemake."""
    empty: dict[str, Any] = {"input": {}, "output": {}, "params": {}, "wildcards": {}}
    return SimpleNamespace(log=[], **{name: SimpleNamespace(**value) for name, value in (empty | parts).items()})


def _write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return str(path)


def evaluations(
    folder: Path,
    seeds: tuple[int, ...] = (1,),
    attentions: tuple[str, ...] = ("entmax~1.5",),
    windows: tuple[int, ...] = (0, 11),
    layers: int = 2,
    heads: int = 3,
    keep: tuple[str, ...] = ("none",),
) -> tuple[list[str], list[dict[str, Any]]]:
    """Write the tables of each predictor, attention and seed; return those by head and what is known of each.

    Those by document and of offsets lie beside them, see `beside`.
    """
    paths, runs = [], []
    for attention in attentions:
        for seed in seeds:
            for name, (projection, points) in POINTS.items():
                rng = np.random.default_rng([seed, len(name), len(attention)])
                # windows and kept tokens add to a support, so they only ever raise what it recalls
                drawn = {
                    (point, layer, head): _point(rng, *place, layer, head)
                    for point, place in points.items()
                    for layer in range(layers)
                    for head in range(heads)
                }
                rows = [
                    {"layer": layer, "head": head, "point": point, "window": window, "keep": kept, "grid": "token"}
                    | {"examples": EXAMPLES * DOCUMENTS}
                    | _with_more(drawn[point, layer, head], 0.05 * bool(window) + 0.04 * KEEP.index(kept))
                    for layer in range(layers)
                    for head in range(heads)
                    for point in points
                    for window in windows
                    for kept in keep
                ]
                path = folder / "predictors" / attention / f"seed~{seed}" / projection / name / "all.tsv"
                paths.append(_write(path, rows))
                _write(Path(beside(path, "documents")), _documents(pd.DataFrame(rows), rng))
                _write(Path(beside(path, "offsets")), _offsets(points, layers, rng))
                run = {
                    "predictor": name,
                    "projection": projection,
                    "point": "all",
                    "attention": attention,
                    "seed": seed,
                }
                runs.append(run | discover()[name].facts)
    return paths, runs


def beside(path: str | Path, stage: str) -> str:
    """Return the path of another table of the same evaluation: `documents`, `offsets`, `buckets`, `common`."""
    return str(path).replace("/predictors/", f"/{stage}/")


def _point(rng: np.random.Generator, sparsity: float, recall: float, layer: int, head: int) -> dict[str, float]:
    sparsity = sparsity + rng.normal(0, 0.002)
    recall = min(max(recall + rng.normal(0, 0.01), 0.001), 0.999)
    return {
        "sparsity": sparsity,
        "gold_sparsity": 0.97 + 0.01 * layer + 0.002 * head,
        "recall": recall,
        "best_recall": 1.0,
        "mass_recall": recall**0.7,
        "precision": min(max(0.1 + rng.normal(0, 0.01), 0.0), 1.0),
        "exactness": recall**1.5,
        "edges": 65536 * (1 - sparsity),
        "computation_sparsity": sparsity - 0.03,
    }


def _with_more(point: dict[str, float], share: float) -> dict[str, float]:
    """Return a point's metrics when `share` of what it leaves out is kept as well."""
    more = {name: point[name] + share * (1 - point[name]) for name in ("recall", "mass_recall", "exactness")}
    less = {name: point[name] * (1 - share) for name in ("sparsity", "computation_sparsity")}
    return point | more | less | {"edges": 65536 * (1 - less["sparsity"])}


def _documents(table: pd.DataFrame, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Spread the means over layers and heads over documents that average to them."""
    keys = ["point", "window", "keep"]
    means = table.groupby(keys, sort=False)[list(table.columns[7:])].mean().reset_index()
    spread = rng.normal(0, 0.01, DOCUMENTS)
    spread -= spread.mean()
    rows = []
    for document in range(DOCUMENTS):
        for row in means.to_dict("records"):
            # equal sparsities, so that documents differ in how well they are predicted
            moved = {name: row[name] + spread[document] for name in ("recall", "mass_recall", "exactness")}
            rows.append({"document": f"document {document}", **row, **moved, "examples": EXAMPLES})
    return rows


def _offsets(points: dict[str, Any], layers: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    shares = {point: rng.dirichlet(np.arange(1.0, len(DISTANCES) + 1)) for point in [*points, "gold"]}
    return [
        {"layer": layer, "point": point, "distance": distance, "edges": 1000 * (layer + 1) * share}
        for layer in range(layers)
        for point, own in shares.items()
        for distance, share in zip(DISTANCES, own, strict=True)
    ]


def quantizers(
    folder: Path, seeds: tuple[int, ...] = (1,), attentions: tuple[str, ...] = ("entmax~1.5",)
) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """Write what is known of the buckets of each quantizer; return both kinds of tables and what is known of each."""
    paths, runs = [], []
    projection, points = POINTS["kmeans"]
    for attention in attentions:
        for seed in seeds:
            rng = np.random.default_rng([seed, len(attention)])
            path = folder / "buckets" / attention / f"seed~{seed}" / projection / "kmeans" / "all.tsv"
            rows = []
            for layer, head, point, side in itertools.product(range(2), range(3), points, ("queries", "keys")):
                count = int(point.split("~")[1][0])
                entropy = 0.8 + rng.normal(0, 0.02)
                row = {"layer": layer, "head": head, "point": point, "side": side, "examples": 8, "buckets": count}
                row |= {"entropy": entropy, "largest_share": 1.5 / count, "empty_share": 0.0, "balance": 1.5}
                rows.append(row | {"outside_share": 0.0})
            paths.append(_write(path, rows))
            rows = [
                {"layer": layer, "point": point, "distance_bin": name, "common": common}
                | {"pairs": 1000.0 * near if common else 1000.0 * (1 - near), "gold_pairs": 20.0 * near + rng.random()}
                for layer, point in itertools.product(range(2), points)
                for name, near in {"0-0.5": 0.8, "0.5-1": 0.5, "1-2": 0.2, ">2": 0.1}.items()
                for common in (0, 1)
            ]
            _write(Path(str(path).replace("/buckets/", "/common/")), rows)
            runs.append({"predictor": "kmeans", "projection": projection, "attention": attention, "seed": seed}
                        | discover()["kmeans"].facts)  # fmt: skip
    return paths, [path.replace("/buckets/", "/common/") for path in paths], runs


MAPPED = {"window": ("kind~none", ["all"]), "cos": (LEARNED, ["all"]),
          "kmeans": (LEARNED, ["clusters~4_runs~1", "clusters~8_runs~1"])}  # fmt: skip
"""Predictor: its projection, and the jobs that map its attention."""
WORDS = '[CLS] the river $ <b> " crosses an old valley . [SEP]'.split()


def maps(
    folder: Path, attentions: tuple[str, ...] = ("entmax~1.5",), words: Sequence[str] = WORDS, layers: int = 2
) -> tuple[list[str], list[dict[str, Any]]]:
    """Write the attention maps of the first seed, one for each job; the last one of k-means is nearest to 0.9."""
    paths, runs = [], []
    for attention, (name, (projection, jobs)) in itertools.product(attentions, MAPPED.items()):
        for number, point in enumerate(jobs):
            rng = np.random.default_rng([len(name), number])
            known = {"point": f"{point}_setting~{number}", "sparsity": 0.8 + 0.08 * number}
            rows = [
                {"layer": layer, "head": 2 - layer % 3, **known, "query": query, "key": key}
                | {"query_token": words[query], "key_token": words[key]}
                | {"probability": probability, "predicted": predicted}
                for layer, query, key in itertools.product(range(layers), *[range(len(words))] * 2)
                # the gold pairs are the same in the maps of all predictors
                for probability in [_probability(layer, query, key, len(attention))]
                for predicted in [int(rng.random() < (0.7 if probability else 0.1))]
                if probability or predicted
            ]
            paths.append(_write(folder / "maps" / attention / name / f"{point}.tsv", rows))
            runs.append({"predictor": name, **discover()[name].facts, "projection": projection}
                        | {"attention": attention, "seed": 1})  # fmt: skip
    return paths, runs


def _probability(*place: int) -> float:
    """Return the made-up gold probability of a layer's query and key; most are 0, but every token sees itself."""
    drawn, (_, query, key, _) = np.random.default_rng(place).random(2), place
    return float(np.round(0.1 + 0.5 * drawn[1], 4)) if query == key or drawn[0] < 0.2 else 0.0


def models(
    folder: Path, seeds: tuple[int, ...] = (1,), attentions: tuple[str, ...] = ("entmax~1.5", "softmax")
) -> SimpleNamespace:
    """Write the tables of trained models and of their gold supports."""
    made = SimpleNamespace(evaluation=[], training=[], sparsity=[], runs=[], gold=[], gold_runs=[])
    for attention in attentions:
        for seed in seeds:
            rng, place = np.random.default_rng([seed, len(attention)]), folder / "models" / attention / f"seed~{seed}"
            end = 5.5 + rng.normal(0, 0.05)
            known = {
                "bits_per_character": 1.9,
                "accuracy": 0.18,
                "unigram_loss": 7.3,
                "masked_tokens": 2400,
                "blocks": 64,
            }
            losses = {"before": 11.0, "after": end}
            rows = [
                {"stage": stage, "loss": loss, "perplexity": np.exp(loss), **known} for stage, loss in losses.items()
            ]
            made.evaluation.append(_write(place / "evaluation.tsv", rows))
            steps = [("train", step) for step in range(1, 11)] + [("validation", step) for step in (0, 5, 10)]
            rows = [
                {"step": step, "phase": phase, "loss": 11 - step * (11 - end) / 10, "learning_rate": 5e-4, "alpha": 1.5}
                for phase, step in steps
            ]
            made.training.append(_write(place / "training.tsv", rows))
            sparse = attention != "softmax"
            rows = [
                {"layer": layer, "head": head, "gold_sparsity": (0.95 + 0.01 * layer + 0.001 * head) * sparse}
                for layer in range(2)
                for head in range(3)
            ]
            made.sparsity.append(_write(place / "sparsity.tsv", rows))
            made.runs.append({"attention": attention, "seed": seed})
            if sparse:
                extra = {"ends_share": 0.25, "ends_mass": 0.125, "examples": 32}
                rows = [row | {"support_size": 256 * (1 - row["gold_sparsity"]), **extra} for row in rows]
                made.gold.append(_write(place / "gold.tsv", rows))
                made.gold_runs.append({"attention": attention, "seed": seed})
    return made


def sparse_mlm(
    folder: Path, seeds: tuple[int, ...] = (1,), attentions: tuple[str, ...] = ("entmax~1.5",), heads: int = 3
) -> dict[str, FileList]:
    """Write what running the language model under full and predicted attention gives; return the files of each kind."""
    kinds = ("full_mlm_losses", "sparse_mlm_losses", "sparse_mlm_heads")
    names = (*kinds, "finetuned_full_mlm_losses", "finetuned_mlm_losses", "finetuned_mlm_heads")
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
    for attention, seed in itertools.product((*attentions, "softmax"), seeds):
        place, run = folder / "sparse_mlm" / attention / f"seed~{seed}", {"attention": attention, "seed": seed}
        full = _losses(seed, 0.0 if attention == "softmax" else 0.05)
        found["full_mlm_losses"][_write(place / "full" / "losses.tsv", full)] = run
        if attention != "softmax":
            path = _write(place / "full" / "finetuned" / "losses.tsv", _losses(seed, 0.0, "finetuned"))
            found["finetuned_full_mlm_losses"][path] = run | {"steps": 50}
        for name, (projection, points) in RUN_POINTS.items() if attention != "softmax" else ():
            known = {"predictor": name, **discover()[name].facts, "projection": projection, **run}
            job = place / projection / name
            own = [(point, reach, dense) for point, reach in points.items() for dense in _ways(name)]
            for part, value in zip(("losses", "heads"), _run_points(own, seed, heads), strict=True):
                found[f"sparse_mlm_{part}"][_write(job / "all" / f"{part}.tsv", value)] = known
            for point in list(points)[-1:] if name in ("kmeans", "bigbird") else ():
                better = [(point, (points[point][0], points[point][1] + 0.15), False)]
                for part, value in zip(("losses", "heads"), _run_points(better, seed, heads), strict=True):
                    path = job / "all" / "finetuned" / point[0] / f"{part}.tsv"
                    found[f"finetuned_mlm_{part}"][_write(path, value)] = known | {"steps": 50}
    return {kind: FileList.of(runs) for kind, runs in found.items()}


def _ways(predictor: str) -> tuple[bool, ...]:
    """Return whether queries without keys see all keys: once with each answer for a predictor that leaves some."""
    return (False, True) if predictor == "cos" else (False,)


def _losses(seed: int, more: float, *names: object) -> list[dict[str, Any]]:
    """Return the rows of all blocks when the model loses `more` nats than softmax."""
    rng, own = np.random.default_rng(seed), np.random.default_rng([seed, *str(names).encode()])
    rows = []
    for block in range(BLOCKS * DOCUMENTS):
        loss = 5.5 + rng.normal(0, 0.2) + more * (1 + own.normal(0, 0.1))
        row = {"block": block, "document": f"document {block // BLOCKS}", "masked_tokens": 38 - block % 3}
        rows.append(row | {"loss": loss, "accuracy": 0.2 * np.exp(5.5 - loss)})
    return rows


def _run_points(points: list[Any], seed: int, heads: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of a job by block and by head: the more attention a point leaves out, the more it loses."""
    losses, by_head = [], []
    for (setting, window, keep), (sparsity, mass), dense in points:
        named = {"setting": setting, "window": window, "keep": keep, "dense_empty_rows": dense}
        empty = 0.2 if setting == "threshold~0.1" else 0.0
        more = 0.05 + 2.6 * (1 - mass) ** 1.5 * (0.8 if dense and empty else 1)
        losses += [named | row for row in _losses(seed, more, setting, dense)]
        for gold, layer, head in itertools.product(("current", "dense"), range(2), range(heads)):
            own = mass - 0.05 * (gold == "dense") - 0.01 * layer
            point = _point(np.random.default_rng([seed, layer, head, len(setting)]), sparsity, own, layer, head)
            # the spread over heads is that of every point, so supports that grow get denser in every head
            point |= {"sparsity": sparsity - 0.001 * head, "mass_recall": max(own, 0.01)}
            measured = point | {"output_error": (1 - own) ** 0.8, "empty_queries": empty}
            by_head.append(named | {"gold": gold, "layer": layer, "head": head, "examples": 16} | measured)
    return losses, by_head


def curves(folder: Path, seeds: tuple[int, ...] = (1,)) -> tuple[list[str], list[dict[str, Any]]]:
    """Write the fitting curves of a projection for each seed."""
    paths, runs = [], []
    for seed in seeds:
        rows = [
            {
                "layer": layer,
                "step": step,
                "split": split,
                "loss": 1 - 0.02 * step + 0.01 * seed,
                "recall": 0.2 + 0.03 * step,
                "sparsity": 0.5 + 0.04 * step,
            }
            for layer in range(2)
            for step in range(0, 11, 5)
            for split in ("train", "validation")
        ]
        paths.append(_write(folder / "projections" / f"seed~{seed}.tsv", rows))
        runs.append({"projection": LEARNED, "attention": "entmax~1.5", "seed": seed})
    return paths, runs


def corpus(folder: Path) -> tuple[str, str]:
    """Write the statistics of a corpus: of its documents, and of its blocks."""
    quantiles = {"min": 500.0, "q25": 900.0, "median": 2000.0, "q75": 4000.0, "max": 9000.0}
    shares = {"train": 74, "validation": 16, "test": 16}
    documents = [{"split": split, "documents": n, "characters": 20000 * n, **quantiles} for split, n in shares.items()]
    blocks = [
        {"split": split, "documents": n, "tokens": 4500 * n, "blocks": 17 * n, "dropped_tokens": 9 * n, **quantiles}
        for split, n in shares.items()
    ]
    return _write(folder / "documents.tsv", documents), _write(folder / "blocks.tsv", blocks)


def receipt(folder: Path) -> str:
    """Write the receipt of a data set that lies in its user's home."""
    path = folder / "resources" / "wiki" / "2016" / "receipt.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"path": "wiki.xml.bz2", "sha256": "a53f" * 16, "size": 17}
    content = {"dataset": "wiki", "version": "2016", "kind": "text", "root": "/home/somebody/wiki", "files": [record]}
    content |= {
        "licence": "CC-BY-SA-3.0",
        "citation": "Wikipedia contributors <2016>",
        "source": {"type": "path", "path": "/home/somebody/wiki"},
    }
    path.write_text(json.dumps(content))
    return str(path)


def make_table(
    path: Path, tables: dict[str, str], files: dict[str, FileList], setting: dict[str, Any] | None = None
) -> str:
    """Make one published table as the rule `summarise` does; return its path."""
    import summarise

    given: dict[str, Any] = {kind: list(own.paths) for kind, own in files.items()} | {"tables": list(tables.values())}
    params = {"runs": {kind: own.runs for kind, own in files.items()}, "setting": setting or {}}
    summarise.main(job(input=given, output={"table": str(path)}, params=params, wildcards={"table": path.stem}))
    return str(path)


def published(folder: Path, seeds: tuple[int, ...] = (1,), attentions: tuple[str, ...] = ("entmax~1.5",)) -> Path:
    """Run the summaries on made-up tables; return the folder of the published ones."""
    tables = folder / "tables"
    documents, blocks = corpus(folder)
    of_text = {"documents_of_text": FileList([documents], [{}]), "blocks_of_text": FileList([blocks], [{}])}
    make_table(tables / "corpus.tsv", {}, of_text)
    made = models(folder, seeds, (*attentions, "softmax"))
    of_models = {f"model_{name}": FileList(vars(made)[name], made.runs) for name in ("evaluation", "sparsity")}
    make_table(tables / "masked_lm.tsv", {}, of_models)
    make_table(tables / "training.tsv", {}, {"model_training": FileList(made.training, made.runs)})
    make_table(tables / "gold_sparsity.tsv", {}, {"gold": FileList(made.gold, made.gold_runs)})
    make_table(tables / "projections.tsv", {}, {"curves": FileList(*curves(folder, seeds))})
    _published_predictors(folder, tables, seeds, attentions)
    _published_sparse_mlm(folder, tables, seeds, attentions)
    _printed(tables, ("masked_lm", "predictors_at_sparsity", "areas", "sparse_mlm"))
    _published_timings(folder, tables, attentions)
    return tables


def _published_predictors(folder: Path, tables: Path, seeds: tuple[int, ...], attentions: tuple[str, ...]) -> None:
    import summarise_predictors
    import summarise_uncertainty

    def out(*names: str) -> dict[str, str]:
        return {name: str(tables / f"{name}.tsv") for name in names}

    paths, runs = evaluations(folder, seeds, attentions)
    setting = {"runs": runs, "window": 0, "keep": "none"}
    output = out("predictors", "predictors_by_head", "pareto", "best_by_head", "best_by_layer")
    summarise_predictors.main(job(input={"evaluations": paths}, output=output, params=setting | {"sparsity": 0.95}))
    documents = [beside(path, "documents") for path in paths]
    params = setting | {"sparsities": [0.8, 0.9, 0.95, 0.98], "replicates": 100}
    output = out("predictors_at_sparsity", "areas")
    summarise_uncertainty.main(job(input={"documents": documents}, output=output, params=params))
    offsets = FileList([beside(path, "offsets") for path in paths], runs)
    sparsity = {"figures.heatmap.sparsity": 0.95}
    make_table(tables / "offsets.tsv", out("predictors"), {"offsets": offsets}, sparsity)
    buckets, common, runs = quantizers(folder, seeds, attentions)
    make_table(tables / "buckets.tsv", {}, {"buckets": FileList(buckets, runs)})
    make_table(tables / "common_buckets.tsv", {}, {"common": FileList(common, runs)})
    mapped = {"maps": FileList(*maps(folder, attentions))}
    make_table(tables / "attention_maps.tsv", {}, mapped, {"map_attention.sparsity": 0.9})


def _published_sparse_mlm(folder: Path, tables: Path, seeds: tuple[int, ...], attentions: tuple[str, ...]) -> None:
    import summarise_sparse_mlm

    files = sparse_mlm(folder, seeds, attentions)
    given = {kind: list(own.paths) for kind, own in files.items()}
    params = {"runs": {kind: own.runs for kind, own in files.items()}, "replicates": 100}
    output = {name: str(tables / f"{name}.tsv") for name in ("sparse_mlm", "sparse_mlm_by_head")}
    summarise_sparse_mlm.main(job(input=given, output=output, params=params))


def attention_timings(folder: Path) -> str:
    """Write times of attention at three lengths; a factor says how the time of a method grows with the length."""
    factors = {
        ("sdpa", "softmax", "tokens", 0): (1.0, 2.0), ("dense", "softmax", "tokens", 0): (1.1, 2.0),
        ("dense", "entmax", "tokens", 0): (1.3, 1.8), ("window", "entmax", "tokens", 64): (1.2, 1.0),
        ("kmeans", "entmax", "tokens", 64): (4.0, 2.1), ("kmeans", "entmax", "buckets", 64): (6.0, 1.2),
        ("quest", "entmax", "tokens", 64): (5.0, 2.0), ("window", "softmax", "tokens", 64): (1.1, 1.0),
    }  # fmt: skip
    rows = []
    for length in (256, 1024, 4096):
        for (method, computed, order, block), (start, power) in factors.items():
            total, sdpa = start * (length / 256) ** power, (length / 256) ** 2.0
            predicting = 0.4 * total if block else 0.0
            kept = {"quest": 0.4, "window": 0.1}.get(method, 64 * 2 / length if order == "buckets" else 1.0)
            asked, kept = (0.1, kept) if block else (1.0, 1.0)
            rows.append({
                "length": length, "method": method, "label": label_of(method), "order": order, "computed": computed,
                "block": block, "asked": asked, "kept": kept, "predict_ms": predicting, "build_ms": 0.0,
                "attend_ms": total - predicting, "total_ms": total, "sdpa_ms": sdpa, "speedup": sdpa / total,
                "peak_mib": 0.0 if length == 256 else length / 500, "threads": 2, "kernel": "cpu",
            })  # fmt: skip
    return _write(folder / "timings.tsv", rows)


def _published_timings(folder: Path, tables: Path, attentions: tuple[str, ...]) -> None:
    import summarise_timings

    runs = [{"attention": attention, "seed": 1} for attention in attentions]
    given = {"timings": [], "attention_timings": [attention_timings(folder)] * len(runs)}
    output = {name: str(tables / f"{name}.tsv") for name in ("attention_timings", "attention_break_even")}
    params = {"runs": {"timings": [], "attention_timings": runs}}
    summarise_timings.main(job(input=given, output=output, params=params))


def _printed(tables: Path, names: tuple[str, ...]) -> None:
    import write_latex

    given, output = ({name: str(tables / f"{name}.{suffix}") for name in names} for suffix in ("tsv", "tex"))
    settings = {name: {"figures.window": 0, "figures.keep": "none"} for name in names}
    write_latex.main(job(input=given, output=output, params={"settings": settings}))
