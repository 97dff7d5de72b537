"""Checks that the selected models can do what a configuration asks of them, before they are retrieved or loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from sparse_attention.data.sources.path import locate
from sparse_attention.errors import InputError
from sparse_attention.models.custom_code import refuse_custom_code
from sparse_attention.models.limits import Limits, limits_of
from sparse_attention.settings import starting
from sparse_attention.settings.grids import as_list, longformer_of
from sparse_attention.settings.schema import Problem
from sparse_attention.settings.sparse_points import SECTIONS

Key = tuple[Any, ...]
TRAINED_BY = {"model": "train_mlm", "classifier": "train_classifier"}
WITHIN_HEAD = {"pca": "dim", "sparq": "channels"}
"""Settings of predictors that cannot exceed the size of a head.

They stand here, and not beside the predictors, because an edit there makes every job of theirs run anew.
"""


def model_problems(config: dict[str, Any], registry: Mapping[str, Any], folder: Path) -> Iterator[Problem]:
    """Yield what the models in the user's own folders, and those with `dimensions` in the registry, cannot do.

    A run that starts from a bundle reads only the classifier that it adds.

    Parameters
    ----------
    config : dict
        The whole configuration.
    registry : mapping
        Data set entries by name.
    folder : Path
        The folder that relative paths start from.
    """
    started = config["start_from"] is not None
    if config["extract_qk"]["source"] is None and not started:
        key, limits = yield from _limits(config, registry, folder, "model")
        if limits:
            length = config["blocks"]["length"]
            yield from _refused(key, lambda: limits.check_length(length, "blocks.length"))
            for section in ("fit_projections", "fit_clusters"):
                yield from _layer_problems(config, folder, section, key, limits)
            yield from _head_problems(config, key, limits)
    if config["code"] is not None and (not started or starting.adds_code(config, folder)):
        key, of_classifier = yield from _limits(config, registry, folder, "classifier")
        if of_classifier:
            shape = longformer_of(config)
            tokens, layers = config["tokenise_code"]["max_tokens"], shape["layers"] if shape else None
            yield from _refused(key, lambda: of_classifier.check_classifier(tokens, layers))


def _limits(
    config: dict[str, Any], registry: Mapping[str, Any], folder: Path, selection: str
) -> Generator[Problem, None, tuple[Key, Limits | None]]:
    """Return the key that names a model and its limits, None where they are unknown; yield why it cannot be used."""
    stage = TRAINED_BY[selection]
    entry = config["models"].get(config[selection]) or {}
    source = config[stage]["source"]
    if not source and "path" not in entry:
        name: Any = entry.get("dataset")
        return ("models", config[selection], "dataset"), _listed(name, registry.get(name, {}).get("dimensions"))
    key = (stage, "source") if source else ("models", config[selection], "path")
    path = locate(source or entry["path"], folder)
    if path.is_dir():
        try:
            refuse_custom_code(path)
            return key, limits_of(path)
        except InputError as error:
            yield Problem(key, str(error))
    return key, None


def _listed(name: Any, dimensions: Mapping[str, int] | None) -> Limits | None:
    """Return the limits of a model that is not retrieved yet; its family, which limits it further, is not known."""
    if not dimensions:
        return None
    layers, heads, head_dim = (dimensions[key] for key in ("layers", "heads", "head_dim"))
    rest = dimensions.get("vocabulary"), dimensions.get("positions")
    return Limits(str(name), None, layers, heads, None, head_dim, *rest, ())


def _refused(model: Key, check: Callable[[], None]) -> Iterator[Problem]:
    """Yield what a check raises, at the key that it names; `model` is the key that names the model."""
    try:
        check()
    except InputError as error:
        wrong, _, text = str(error).partition(": ")
        yield Problem(tuple(wrong.split(".")), text, (model,))


def _layer_problems(
    config: dict[str, Any], folder: Path, section: str, model: Key, limits: Limits
) -> Iterator[Problem]:
    """Check that imported projections or centroids have as many layers as the model."""
    source = config[section]["source"]
    layers = _layers_in(locate(source, folder)) if source else None
    if layers is not None:
        yield from _refused(model, lambda: limits.check_all_layers(layers, f"{section}.source"))


def _head_problems(config: dict[str, Any], model: Key, limits: Limits) -> Iterator[Problem]:
    """Check settings of predictors against the number of heads and the size of a head."""
    grids: list[tuple[Key, str, Any]] = [
        (("predictors", name), name, grid) for name, grid in config["predictors"].items() if grid
    ]
    for section in SECTIONS:
        for name, points in ((config[section] or {}).get("points") or {}).items():
            grids += [((section, "points", name, index), name, point) for index, point in enumerate(points or ())]
    for key, name, grid in grids:
        for setting, values in grid.items():
            # a list inside the list has one value for each head
            for count in {len(value) for value in as_list(values) if isinstance(value, list)} - {limits.heads}:
                if limits.heads:
                    text = f"a list of {count} is not allowed for {limits.heads} heads; allowed: one number for each"
                    yield Problem((*key, setting), text, (model,))
        most = max(as_list(grid[WITHIN_HEAD[name]])) if name in WITHIN_HEAD else 0
        if limits.head_dim and most > limits.head_dim:
            text = f"{most} is not allowed; allowed: at most {limits.head_dim}, the size of a head of {limits.name}"
            yield Problem((*key, WITHIN_HEAD[name]), text, (model,))


def _layers_in(path: Path) -> int | None:
    """Return the number of layers that the header of a safetensors file names; None for other and damaged files."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= path.stat().st_size else None
    except (OSError, ValueError, RecursionError):
        return None
    names = header if isinstance(header, dict) else {}
    return len({name.split(".")[0] for name in names if name.startswith("layer~")}) or None
