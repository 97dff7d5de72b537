"""Checks that refuse settings which would change nothing, because others rule them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparse_attention.data.code.readers import registry as code_readers
from sparse_attention.data.readers import registry as text_readers
from sparse_attention.settings.grids import PRUNING, UNUSED_BY_MODE, as_list
from sparse_attention.settings.origins import Origins
from sparse_attention.settings.schema import Problem

READERS = {"corpora": text_readers.discover, "code_corpora": code_readers.discover}
"""For each section, the function that finds the readers that its entries may name."""


def effect_problems(config: dict[str, Any], selecting: dict[str, str]) -> Iterator[Problem]:
    """Yield the settings without effect; a run that starts from a bundle takes its settings as they are there.

    Parameters
    ----------
    config : dict
        The whole configuration.
    selecting : dict of str to str
        The keys whose selection is retrieved, each with the section that it selects from.
    """
    if config["start_from"] is not None:
        return
    for position, pruning in enumerate(config["prunings"] if config["code"] is not None else ()):
        yield from _pruning_problems(("prunings", position), pruning)
    yield from _anneal_problems(config)
    for selection, section in selecting.items():
        if section in READERS:
            yield from _option_problems(section, config[selection], config[section].get(config[selection]) or {})


def empty_overlays(config: dict[str, Any], origins: Origins) -> Iterator[Problem]:
    """Yield the sections that are null, and that an overlay gives as `{}`, which Snakemake merges without a trace."""
    for _, content in origins.overlays:
        for key, value in content.items():
            if value == {} and key in config and config[key] is None:
                yield Problem((key,), "{} changes nothing; allowed: null, or a mapping with keys")


def _pruning_problems(key: tuple[Any, ...], pruning: dict[str, Any]) -> Iterator[Problem]:
    """Check that at least one of the modes uses each setting; a default may be written out."""
    modes = as_list(pruning["mode"])
    for name, value in pruning.items():
        unused = all(name in UNUSED_BY_MODE.get(mode, ()) for mode in modes)
        if unused and as_list(value) != [PRUNING[name]]:
            text = f"has no effect with mode {' or '.join(modes)}; allowed: no {name}, or a mode that uses it"
            yield Problem((*key, name), text, ((*key, "mode"),))


def _anneal_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Check that alpha reaches the value after which the model is named."""
    section = config["train_mlm"]
    if section["source"] is None and config["extract_qk"]["source"] is None:
        steps, most = section["anneal"]["steps"], section["steps"]
        if steps > most:
            text = (
                f"{steps} is above train_mlm.steps, {most}, so alpha would not reach its value; allowed: at most {most}"
            )
            yield Problem(("train_mlm", "anneal", "steps"), text, (("train_mlm", "steps"),))


def _option_problems(section: str, name: str, entry: dict[str, Any]) -> Iterator[Problem]:
    """Check that the reader of a data set has each of the options that its entry gives."""
    found = READERS[section]()
    options = {form: reader.declared.get("options", {}) for form, reader in found.items()}
    form = entry.get("format")
    every = {option for of_reader in options.values() for option in of_reader}
    for option in entry:
        if form in options and option in every and option not in options[form]:
            having = " | ".join(other for other, of_reader in options.items() if option in of_reader)
            text = f"has no effect with format {form}; allowed: only with format {having}"
            yield Problem((section, name, option), text, ((section, name, "format"),))
