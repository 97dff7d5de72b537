"""Published tables, made up: of any number of predictors, projections, seeds and attentions, plausible to draw."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import pandas as pd

PROJECTION = "kind~linear_dim~4_shared~true"
NONE = "kind~none"
METRICS = ("recall", "mass_recall", "exactness")
SIZES = (("hypervolume", 1.0), ("area", 0.7))
GOLD = 0.975
# name: label, family, projected, merit, cost of predicting in scores
PREDICTORS = {
    "window": ("Window", "window", False, 0.9, 0.0),
    "strided": ("Sparse Transformer", "patterns", False, 0.5, 0.0),
    "bigbird": ("BigBird", "patterns", False, 0.6, 0.0),
    "longformer": ("Longformer", "patterns", False, 0.4, 0.0),
    "cos": ("Cosine distance", "distance", True, 2.5, 0.07),
    "l2": ("Squared L2 distance", "distance", True, 2.6, 0.07),
    "euclidean": ("L2 distance", "distance", True, 2.6, 0.07),
    "min": ("Minimum distance", "distance", True, 1.1, 0.07),
    "min_norm": ("Normalised minimum distance", "distance", True, 1.0, 0.07),
    "direction": ("Direction distance", "distance", True, 2.3, 0.07),
    "minkowski": ("Minkowski distance", "distance", True, 2.2, 0.07),
    "entmax": ("Low-dimensional entmax", "low_dim_entmax", True, 2.9, 0.1),
    "calibrated": ("Calibrated distance", "calibrated", True, 3.2, 0.07),
    "fixed": ("Fixed buckets", "buckets", True, 1.2, 0.01),
    "dynamic": ("Dynamic buckets", "buckets", True, 1.3, 0.01),
    "kmeans": ("K-means clusters", "clusters", True, 1.9, 0.02),
    "reformer": ("Reformer LSH", "hashing", True, 1.0, 0.01),
    "routing": ("Routing", "routing", True, 1.2, 0.03),
    "routing_trained": ("Routing, trained", "routing", True, 1.3, 0.03),
    "routing_kmeans": ("Routing, k-means", "routing", True, 1.5, 0.03),
    "simhash": ("SimHash tables", "simhash", False, 1.1, 0.05),
    "pca": ("PCA of keys", "lowrank", False, 2.4, 0.2),
    "sparq": ("SparQ channels", "lowrank", False, 2.8, 0.3),
    "quest": ("Quest pages", "pages", False, 1.7, 0.1),
    "gaussian_pages": ("Gaussian pages", "pages", False, 1.6, 0.1),
    "xattention": ("XAttention blocks", "antidiagonal", False, 1.4, 0.25),
    "hash_attention": ("HashAttention", "hash_attention", False, 2.9, 0.04),
    "gate": ("Learned gate", "gate", False, 2.0, 0.03),
    "indexer": ("Lightning indexer", "indexer", False, 4.2, 0.15),
    "oracle": ("Oracle top-k", "bounds", False, 14.0, 1.03),
    "random": ("Random", "bounds", False, 0.0, 0.0),
}
ALL = tuple(PREDICTORS)
FEW = ("window", "bigbird", "longformer", "cos", "l2", "fixed", "dynamic", "kmeans", "oracle", "random")
QUANTIZERS = ("fixed", "dynamic", "kmeans", "reformer", "routing", "routing_trained", "routing_kmeans", "simhash")
OFFSETS = ("0", "1", "2", "3-4", "5-8", "9-16", "17-32", "33-64", "65-128", "129-256", "257-512", "513-1024", ">1024")


def _noise(*names: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


def _who(name: str, projections: tuple[str, ...]) -> list[dict[str, object]]:
    label, family, projected, *_ = PREDICTORS.get(name, (name, name, False, 1.0, 0.0))
    bound = {"oracle": "upper", "random": "lower"}.get(name)
    who = {"predictor": name, "label": label, "family": family, "bound": bound}
    blocks = dict.fromkeys(p.replace(PROJECTION, NONE) for p in projections if p.startswith(PROJECTION + "_block"))
    plain = [NONE, *(blocks if family in ("bounds", "gate", "antidiagonal") else ())]
    return [who | {"projection": projection} for projection in (projections if projected else plain)]


def predictors(
    names: tuple[str, ...] = ALL,
    attentions: tuple[str, ...] = ("entmax~1.5",),
    projections: tuple[str, ...] = (PROJECTION,),
    windows: tuple[int, ...] = (0, 3, 11, 25),
    seeds: int = 1,
    points: int = 7,
) -> pd.DataFrame:
    """Return the table `predictors`."""
    rows = []
    for attention in attentions:
        for who in (who for name in names for who in _who(name, projections)):
            rng = _noise(attention, *who.values())
            *_, merit, cost = PREDICTORS.get(str(who["predictor"]), (None, None, False, 1.0, 0.0))
            reach = np.geomspace(0.6, 0.012, points) * np.exp(rng.normal(0, 0.15, points))
            for window in windows:
                for place, kept in enumerate(reach):
                    kept = min(1.0, kept + window / 256)
                    recall = min(1, kept ** (1 / (1 + merit * (1 + 0.1 * (window > 0)))) + rng.normal(0, 0.01))
                    if who["bound"] == "upper":
                        recall = min(1.0, (kept / (1 - GOLD)) ** 0.5)
                    row = who | {"attention": attention, "point": f"setting~{place}", "window": window, "keep": "none"}
                    row |= {"seeds": seeds, "examples": 32, "sparsity": 1 - kept, "gold_sparsity": GOLD}
                    row |= {"recall": recall, "best_recall": min(1, kept / 0.025), "mass_recall": recall**0.7}
                    row |= {"precision": 0.025 * recall / kept, "exactness": recall**1.8, "edges": 65536 * kept}
                    rows.append(row | {"computation_sparsity": 1 - kept - cost})
    table = pd.DataFrame(rows)
    for column in ("sparsity", *METRICS, "computation_sparsity"):
        table[f"{column}_ci95"] = 0.02 if seeds > 1 else float("nan")
    return table


def areas(
    names: tuple[str, ...] = ALL,
    attentions: tuple[str, ...] = ("entmax~1.5",),
    projections: tuple[str, ...] = (PROJECTION,),
    windows: tuple[str, ...] = ("0", "3", "11", "25", "all"),
    seeds: int = 1,
) -> pd.DataFrame:
    """Return the table `areas`."""
    rows = []
    for attention, window in ((attention, window) for attention in attentions for window in windows):
        for who in (who for name in names for who in _who(name, projections)):
            rng = _noise(attention, window, *who.values())
            value = 0.95 * (1 - 1 / (1.2 + PREDICTORS[str(who["predictor"])][3])) + rng.normal(0, 0.01)
            row = {"attention": attention, "keep": "none"} | who | {"windows": window}
            row |= {"seeds": seeds, "points": 7, "area_from": 0.8}
            for (kind, share), (metric, power) in itertools.product(SIZES, zip(METRICS, (1, 0.7, 1.8), strict=True)):
                middle, half = share * value**power, 0.008 + 0.02 * rng.random()
                name = f"{kind}_{metric}"
                row |= {name: middle, f"{name}_low": middle - half, f"{name}_high": middle + 1.3 * half}
            rows.append(row)
    return pd.DataFrame(rows)


def at_sparsity(names: tuple[str, ...] = ALL, windows: tuple[str, ...] = ("0", "all"), **options) -> pd.DataFrame:
    """Return the table `predictors_at_sparsity`."""
    rows = []
    for _, area in areas(names, windows=windows, **options).iterrows():
        row = area[["attention", "keep", "predictor", "label", "family", "bound", "projection", "windows"]].to_dict()
        for at in (0.8, 0.9, 0.95, 0.98):
            values = {"recall": area["area_recall"] * (1.6 - at), "mass_recall": area["area_recall"] * (1.8 - at)}
            values["exactness"] = values["recall"] ** 2
            cells = {"at_sparsity": at, "seeds": area["seeds"]}
            for metric, value in values.items():
                known = at < 0.98 or area["area_recall"] > 0.3
                cells |= {metric: value if known else np.nan, f"{metric}_ci95": 0.02 if area["seeds"] > 1 else np.nan}
                cells |= {f"{metric}_{end}": value + step if known else np.nan
                          for end, step in (("low", -0.015), ("high", 0.02))}  # fmt: skip
            rows.append(row | cells)
    return pd.DataFrame(rows)


def best_by_head(
    layers: int = 6, heads: int = 12, attentions: tuple[str, ...] = ("entmax~1.5",), names: tuple[str, ...] = ALL
) -> pd.DataFrame:
    """Return the table `best_by_head`."""
    rows, real = [], [name for name in names if name not in ("oracle", "random")]
    for attention in attentions:
        for layer, head in ((layer, head) for layer in range(layers) for head in range(heads)):
            rng = _noise(attention, layer, head)
            merit = [PREDICTORS[name][3] + rng.normal(0, 0.8) for name in real]
            first, *rest = np.argsort(merit)[::-1]
            who = _who(real[first], (PROJECTION,))[0]
            row = {"attention": attention, "layer": layer, "head": head, "window": 0, "keep": "none"}
            row |= {"at_sparsity": 0.95} | {name: who[name] for name in ("predictor", "label", "projection")}
            row["recall"] = 0.4 + 0.05 * merit[first] + 0.02 * layer
            if rest:
                other = _who(real[rest[0]], (PROJECTION,))[0]
                row |= {f"second{end}": other[n] for end, n in (("", "predictor"), ("_label", "label"))}
                row |= {"second_projection": other["projection"]}
                row |= {"second_recall": row["recall"] - 0.02 * (merit[first] - merit[rest[0]])}
                row["margin"] = row["recall"] - row["second_recall"]
            rows.append(row)
    columns = ["second", "second_label", "second_projection", "second_recall", "margin"]
    table = pd.DataFrame(rows)
    return table.reindex(columns=[*table.columns, *(name for name in columns if name not in table)])


def buckets(
    names: tuple[str, ...] = QUANTIZERS, layers: int = 6, projections: tuple[str, ...] = (PROJECTION,), heads: int = 3
) -> pd.DataFrame:
    """Return the table `buckets`."""
    rows = []
    for who in (who for name in names for who in _who(name, projections)):
        for count, layer, head in itertools.product((4, 8, 16, 32), range(layers), range(heads)):
            for side in ("queries", "keys"):
                rng = _noise(who["predictor"], layer, side, count, head)
                entropy = 1.0 if who["predictor"] == "fixed" else 0.95 - 0.04 * layer - 0.01 * count * rng.random()
                row = who | {"attention": "entmax~1.5", "point": f"clusters~{count}_runs~1", "layer": layer}
                row |= {"head": head, "side": side, "seeds": 1, "examples": 32, "buckets": float(count)}
                row |= {"entropy": entropy, "largest_share": 1.5 / count, "empty_share": 0.1, "balance": entropy**2}
                rows.append(row | {"outside_share": 0.0})
    return pd.DataFrame(rows)


def offsets(
    names: tuple[str, ...] = ALL,
    attentions: tuple[str, ...] = ("entmax~1.5",),
    projections: tuple[str, ...] = (PROJECTION,),
) -> pd.DataFrame:
    """Return the table `offsets`."""
    gold = np.array([0.08, 0.12, 0.08, 0.1, 0.11, 0.12, 0.13, 0.13, 0.1, 0.03, 0, 0, 0])
    rows = []
    for attention in attentions:
        for who in (who for name in names for who in _who(name, projections)):
            *_, merit, _ = PREDICTORS[str(who["predictor"])]
            chance = np.array([0.5, 1, 1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0])
            if who["family"] in ("window", "patterns"):
                chance = np.where(np.arange(13) < 5, 30.0, 0.3) * (gold > 0)
            mixed = gold * merit + chance / chance.sum()
            for distance, share, true in zip(OFFSETS, mixed / mixed.sum(), gold, strict=True):
                row = who | {"attention": attention, "point": "setting~4", "sparsity": 0.95, "distance": distance}
                rows.append(row | {"seeds": 1, "share": share, "gold_share": true})
    return pd.DataFrame(rows)


def common_buckets(names: tuple[str, ...] = QUANTIZERS, layers: int = 2) -> pd.DataFrame:
    """Return the table `common_buckets`."""
    rows = []
    ways = [1, 4, 6, 4, 1]
    for who in (who for name in names for who in _who(name, (PROJECTION,))):
        most = 1 if str(who["predictor"]).startswith(("kmeans", "routing")) else 4
        for point, layer, place in itertools.product((0, 1), range(layers), range(8)):
            near = (0.3 + 0.5 * point) * np.exp(-place / 3)
            shares = [near**common * (1 - near) ** (most - common) * ways[common] for common in range(most + 1)]
            for common, share in enumerate(np.array(shares) / np.sum(shares)):
                row = who | {"attention": "entmax~1.5", "point": f"setting~{point}", "layer": layer, "seeds": 1}
                row |= {"distance_bin": f"{place / 4:g}-{(place + 1) / 4:g}", "common": common}
                rows.append(row | {"pairs": 1000 * share, "gold_pairs": 50 * share * (1 + 2 * common) * np.exp(-place)})
    return pd.DataFrame(rows)


def deviations() -> pd.DataFrame:
    """Return the table `deviations`."""
    rows = [
        ("top_by_rank", "kmeans clusters~8_top~2", "recall", 0.41, 0.33),
        ("top_by_rank", "kmeans clusters~8_top~2", "sparsity", 0.9, 0.95),
        ("planned_random_keys", "bigbird random_keys~3", "recall", 0.2, 0.15),
        ("another_seed", "bigbird random_keys~3", "recall", 0.2, 0.202),
    ]
    table = pd.DataFrame(rows, columns=["quirk", "subject", "metric", "corrected", "as_published"])
    table.insert(0, "attention", "entmax~1.5")
    return table.assign(difference=table["as_published"] - table["corrected"], seeds=1, layers=2, examples=8)
