"""The one place that reads models and tokenizers with transformers: offline, and no code of a folder is ever run.

A folder is refused before the library opens it, and what the library raises becomes one line for the user.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import constants
from transformers import CONFIG_MAPPING, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name
from transformers.utils import logging as transformers_logging

from sparse_attention.errors import InputError, reason
from sparse_attention.models.folders import (
    CONFIG,
    TOKENIZER_CONFIG,
    check_tokenizer_files,
    own_code,
    read_config,
)
from sparse_attention.models.limits import LTP, limits_in
from sparse_attention.models.weights import check_files, refuse_unexpected, refuse_unusable

logger = logging.getLogger(__name__)

GUARDED = {"local_files_only": True, "trust_remote_code": False}
"""False, since None would ask on the terminal."""


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Keep the Hugging Face libraries off the network and quiet while the block lasts."""
    before, verbosity = constants.HF_HUB_OFFLINE, transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    constants.HF_HUB_OFFLINE = True
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


@contextlib.contextmanager
def guarded(what: str, allowed: str = "") -> Iterator[None]:
    """Turn whatever a library raises in the block into one `InputError`: `what`, its reason, and what is `allowed`."""
    try:
        with offline():
            yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # libraries raise classes of their own, and plain Exception from compiled code
        raise InputError(f"{what}: {reason(error)}{allowed and f'; allowed: {allowed}'}") from None


def load_model(
    kind: Any, folder: Path | str, what: str, unused: tuple[str, ...], **options: Any
) -> tuple[Any, set[str]]:
    """Load a folder with `kind.from_pretrained`, in float32 and evaluation mode.

    Parameters
    ----------
    kind
        One of transformers' Auto classes.
    folder : Path or str
    what : str
        Names it in errors: `an encoder`.
    unused : tuple of str
        Beginnings of names of weights that the folder may hold beside the model's own.
    **options
        Handed on.

    Returns
    -------
    model : PreTrainedModel
    missing : set of str
        Names of the weights that the folder lacks; the caller decides whether it may.

    Raises
    ------
    InputError
        When a file is missing, damaged, a Git LFS pointer or holds more than tensors; the model is one that only the
        folder's own code knows; its numbers do not fit each other; it holds weights that the model has no place for,
        or that are not finite.
    """
    folder = Path(folder)
    config = _known_config(folder)
    limits_in(config, folder)
    files = check_files(folder)
    try:
        given = {"dtype": torch.float32, "use_safetensors": files[0].suffix == ".safetensors", **options}
        # the library's own error names neither a weight nor a shape; ours does
        given |= {"ignore_mismatched_sizes": True, "output_loading_info": True}
        model, report = _from_pretrained(kind, folder, f"{folder}: cannot be loaded as {what}", **given)
        _refuse_other_shapes(report["mismatched_keys"], folder)
        refuse_unexpected(report["unexpected_keys"], model, folder, unused)
    except InputError:
        refuse_unusable(files)  # tells more of a file that holds anything but weights
        raise
    refuse_not_finite(model, folder)
    _forget_code(model.config)
    return model.eval(), set(report["missing_keys"])


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder.

    Raises
    ------
    InputError
        When there is none, it is damaged, or only the folder's own code knows it.
    """
    folder = Path(folder)
    if (folder / CONFIG).is_file():
        limits_in(_known_config(folder), folder)
    settings, path = check_tokenizer_files(folder), folder / TOKENIZER_CONFIG
    named, code = settings.get("tokenizer_class"), own_code(settings)
    if code:
        if not isinstance(named, str) or tokenizer_class_from_name(named) is None:
            text = f"auto_map names code of its own ({code}), which is never run"
            raise InputError(f"{path}: {text}; allowed: a tokenizer_class of transformers {transformers.__version__}")
        logger.warning("%s: auto_map names code of its own (%s); it is not run, %s is used", path, code, named)
    version, file = importlib.metadata.version("tokenizers"), folder / "tokenizer.json"
    place = file if file.is_file() else folder
    allowed = f"one that tokenizers {version} can read"
    tokenizer = _from_pretrained(AutoTokenizer, folder, f"{place}: its tokenizer cannot be loaded", allowed)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # transformers makes an empty one where there are no files
        raise InputError(f"{folder}: has no tokenizer; allowed: a model folder with its tokenizer")
    tokenizer.init_kwargs.pop("auto_map", None)
    return tokenizer


def copy_tokenizer(source: Path | str, folder: Path | str) -> None:
    """Write the tokenizer of the model in `source` into `folder`; `InputError` as of `load_tokenizer`."""
    load_tokenizer(source).save_pretrained(folder)


def _from_pretrained(kind: Any, folder: Path, what: str, allowed: str = "", **options: Any) -> Any:
    with guarded(what, allowed):
        return kind.from_pretrained(folder, **options, **GUARDED)


def _refuse_other_shapes(mismatched: Iterable[tuple[str, torch.Size, torch.Size]], folder: Path) -> None:
    """Raise `InputError` when weights have other shapes than the configuration says."""
    for name, found, wanted in sorted(mismatched, key=lambda item: item[0]):
        text = f"{name} has shape {tuple(found)}, and by {CONFIG} {tuple(wanted)}"
        raise InputError(f"{folder}: {text}; allowed: weights and sizes that belong together")


def refuse_not_finite(model: PreTrainedModel, folder: Path) -> None:
    """Raise `InputError` when a weight is NaN or infinite."""
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise InputError(f"{folder}: {name} holds NaN or infinity; allowed: finite weights")


def _known_config(folder: Path) -> dict[str, Any]:
    """Read a configuration, and refuse one whose model only the folder's own code knows."""
    config, path = read_config(folder), folder / CONFIG
    code, family = own_code(config), config.get("model_type")
    if config.get("quantization_config"):
        raise InputError(f"{path}: quantization_config: the weights are quantised; allowed: weights as floats")
    if not code:
        return config
    if not isinstance(family, str) or (family not in CONFIG_MAPPING and family != LTP):
        text = f"auto_map names code of its own ({code}), which is never run"
        allowed = f"a model_type that transformers {transformers.__version__} knows, not {family!r}"
        raise InputError(f"{path}: {text}; allowed: {allowed}")
    logger.warning("%s: auto_map names code of its own (%s); it is not run, %s is the library's", path, code, family)
    return config


def _forget_code(config: PretrainedConfig) -> None:
    """Leave out of what is saved later that there is code which only the folder has."""
    for name in ("auto_map", "custom_pipelines"):
        if hasattr(config, name):
            delattr(config, name)
