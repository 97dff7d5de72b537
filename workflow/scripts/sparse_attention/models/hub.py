"""Read models and tokenizers with transformers, offline and without running code from the model folder.

No other module calls `from_pretrained`. A folder is checked before the library opens it, and an exception of the
library becomes an error message of one line.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import constants
from transformers import CONFIG_MAPPING, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name
from transformers.utils import logging as transformers_logging

from sparse_attention.errors import InputError, reason
from sparse_attention.models.custom_code import check_model_code, check_tokenizer_code
from sparse_attention.models.folders import CONFIG, TOKENIZER_CONFIG, check_tokenizer_files, read_config
from sparse_attention.models.limits import LTP, limits_in
from sparse_attention.models.weights import check_files, refuse_unexpected, refuse_unusable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

GUARDED = {"local_files_only": True, "trust_remote_code": False}
"""Options of every `from_pretrained`; with `trust_remote_code=None` transformers would ask on the terminal."""


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Keep the Hugging Face libraries off the network and silent inside a `with` block."""
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
    """Turn an exception that a library raises in the `with` block into `InputError`.

    Parameters
    ----------
    what : str
        Start of the message: the file or folder, and what failed.
    allowed : str
        What is allowed, the end of the message; empty leaves it out.
    """
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
        The model folder.
    what : str
        Kind of model as error messages name it, such as `an encoder`.
    unused : tuple of str
        Name prefixes of weights that the folder may hold although the model does not use them.
    **options
        Passed on to `from_pretrained`.

    Returns
    -------
    model : PreTrainedModel
    missing : set of str
        Names of the weights that the folder lacks; the caller decides whether they may be missing.

    Raises
    ------
    InputError
        When a file is missing, damaged, a Git LFS pointer or holds more than tensors; when only custom code in the
        folder defines the model; when sizes contradict each other; when the model has no place for a weight, or a
        weight is not finite.
    """
    folder = Path(folder)
    config = _known_config(folder)
    limits_in(config, folder)
    files = check_files(folder)
    try:
        given = {"dtype": torch.float32, "use_safetensors": files[0].suffix == ".safetensors", **options}
        # the library's own error names neither a weight nor a shape, that of _refuse_other_shapes does
        given |= {"ignore_mismatched_sizes": True, "output_loading_info": True}
        model, report = _from_pretrained(kind, folder, f"{folder}: cannot be loaded as {what}", **given)
        _refuse_other_shapes(report["mismatched_keys"], folder)
        refuse_unexpected(report["unexpected_keys"], model, folder, unused)
    except InputError:
        refuse_unusable(files)  # its error is clearer where a pickle holds anything but weights
        raise
    refuse_not_finite(model, folder)
    _forget_code(model.config)
    return model.eval(), set(report["missing_keys"])


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder.

    Raises
    ------
    InputError
        When there is none, a file is damaged, or only custom code in the folder defines the tokenizer.
    """
    folder = Path(folder)
    if (folder / CONFIG).is_file():
        limits_in(_known_config(folder), folder)
    settings, path = check_tokenizer_files(folder), folder / TOKENIZER_CONFIG
    code = check_tokenizer_code(settings, path, lambda name: tokenizer_class_from_name(name) is not None)
    if code:
        named = settings["tokenizer_class"]
        logger.warning("%s: auto_map names custom code (%s), which is not run; %s is used instead", path, code, named)
    version, file = importlib.metadata.version("tokenizers"), folder / "tokenizer.json"
    culprit = file if file.is_file() else folder
    allowed = f"a tokenizer that tokenizers {version} can read"
    tokenizer = _from_pretrained(AutoTokenizer, folder, f"{culprit}: the tokenizer cannot be loaded", allowed)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # transformers makes an empty tokenizer where there are no files
        raise InputError(f"{folder}: has no tokenizer; allowed: a model folder with its tokenizer")
    tokenizer.init_kwargs.pop("auto_map", None)
    return tokenizer


def copy_tokenizer(source: Path | str, folder: Path | str) -> None:
    """Write the tokenizer of the model in `source` into `folder`; raise as `load_tokenizer` does."""
    load_tokenizer(source).save_pretrained(folder)


def _from_pretrained(kind: Any, folder: Path, what: str, allowed: str = "", **options: Any) -> Any:
    with guarded(what, allowed):
        return kind.from_pretrained(folder, **options, **GUARDED)


def _refuse_other_shapes(mismatched: Iterable[tuple[str, torch.Size, torch.Size]], folder: Path) -> None:
    """Raise `InputError` for the first weight whose shape is not the one that the configuration gives."""
    for name, found, wanted in sorted(mismatched, key=lambda item: item[0]):
        text = f"{name} has shape {tuple(found)}, but {CONFIG} gives it {tuple(wanted)}"
        raise InputError(f"{folder}: {text}; allowed: weights of the shapes that {CONFIG} gives")


def refuse_not_finite(model: PreTrainedModel, folder: Path) -> None:
    """Raise `InputError` when a weight is NaN or infinite."""
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise InputError(f"{folder}: {name} holds NaN or infinity; allowed: finite weights")


def _known_config(folder: Path) -> dict[str, Any]:
    """Read a configuration; refuse quantised weights, and a model that only custom code in the folder defines."""
    config, path = read_config(folder), folder / CONFIG
    if config.get("quantization_config"):
        raise InputError(f"{path}: quantization_config: quantised weights cannot be read; allowed: weights as floats")
    code = check_model_code(config, path, {*CONFIG_MAPPING, LTP})
    if code:
        text = "%s: auto_map names custom code (%s), which is not run; the library's own %s is used instead"
        logger.warning(text, path, code, config["model_type"])
    return config


def _forget_code(config: PretrainedConfig) -> None:
    """Remove the names of custom code, so that a copy that is saved later does not name them."""
    for name in ("auto_map", "custom_pipelines"):
        if hasattr(config, name):
            delattr(config, name)
