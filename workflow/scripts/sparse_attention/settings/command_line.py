"""Reads the settings in `--config`, because Snakemake itself passes some of them on as text and loses others."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sparse_attention.errors import InputError
from sparse_attention.files.yaml import TEXT, dotted, faults_of, parse, read_mapping
from sparse_attention.files.yaml_values import number_in_yaml
from sparse_attention.settings.origins import COMMAND_LINE
from sparse_attention.settings.schema import Schema

NAME = re.compile(r"[a-zA-Z_][\w-]*\w")


def read_settings(entries: list[str], schema: Schema) -> dict[str, Any]:
    """Return the settings in the arguments of `--config`, with the types that the schema asks for where possible.

    Parameters
    ----------
    entries : list of str
        `KEY=VALUE`, the value in YAML, or with Python's `None` for null.
    schema : Schema
        The configuration's schema. It makes `corpus=2016` a text and `seeds=[2016]` a number.

    Raises
    ------
    InputError
        When a key appears twice.
    """
    settings: dict[str, Any] = {}
    for entry in entries:
        name, _, text = entry.partition("=")
        value = _read(text, (name,), schema)
        repeated = sorted(set(_leaves({name: value})) & set(_leaves(settings)))
        if repeated:
            raise InputError(f"{COMMAND_LINE}: {dotted(repeated[0])}: appears twice; write it once")
        _lay_over(settings, {name: value})
    return settings


def problems_of(arguments: list[str]) -> list[str]:
    """Return the mistakes in command-line arguments that Snakemake would fail on or silently ignore."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", dest="files", nargs="*", action="append", default=[])
    parser.add_argument("--config", "-C", dest="entries", nargs="*", action="append", default=[])
    given, _ = parser.parse_known_args(arguments)
    problems = _repeated_options(arguments)
    for file in (Path(file) for files in given.files for file in files):
        try:
            read_mapping(file)
        except InputError as error:
            advice = "" if file.exists() or file.suffix else "; put targets before --configfile, which takes only files"
            problems += f"{error}{advice}".splitlines()
    for entry in (entry for entries in given.entries for entry in entries):
        name, equals, value = entry.partition("=")
        if equals and NAME.fullmatch(name):
            continue
        first, *inner = name.split(".")
        for part in reversed(inner):
            value = f"{{{part}: {value}}}"
        nested = f"; write {first}='{value}'" if equals and inner else ""
        problems.append(f"{COMMAND_LINE}: {entry!r} is not allowed; allowed: KEY=VALUE with a top-level key{nested}")
    return problems


def refuse_repeated(arguments: list[str]) -> None:
    """Raise `InputError` when `--configfile` or `--config` appears twice: Snakemake uses only the last one."""
    problems = _repeated_options(arguments)
    if problems:
        raise InputError(*problems)


def _repeated_options(arguments: list[str]) -> list[str]:
    return [
        f"{names[0]} appears twice, and only the last would count; write it once, with all values after it"
        for names in (("--configfile", "--configfiles"), ("--config", "-C"))
        if sum(argument.partition("=")[0] in names for argument in arguments) > 1
    ]


def _read(text: str, key: tuple[Any, ...], schema: Schema) -> Any:
    if not text:
        return None
    value = _parsed(text, key, schema)
    # quotes around the whole value come from the shell or from Snakemake
    if schema.fits(key, value) or text.strip("'\"") == text:
        return value
    return _parsed(text.strip("'\""), key, schema)


def _parsed(text: str, key: tuple[Any, ...], schema: Schema) -> Any:
    try:
        node = parse(text, COMMAND_LINE)
    except InputError:
        return text  # a path or a pattern, in which YAML's special characters are allowed; the schema checks it later
    if node is None:
        return None
    repeated = [fault for fault in faults_of(node) if not fault.misread]
    if repeated:
        raise InputError(f"{COMMAND_LINE}: {dotted((*key, *repeated[0].key))}: {repeated[0].text}")
    return _value(node, key, schema)


def _value(node: yaml.Node, key: tuple[Any, ...], schema: Schema) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {str(name.value): _value(value, (*key, str(name.value)), schema) for name, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*key, index), schema) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    meanings = list(_meanings(node))
    return next((meaning for meaning in meanings if schema.fits(key, meaning)), meanings[0])


def _meanings(node: yaml.ScalarNode) -> Iterator[Any]:
    """Yield the values that a text may mean, the likeliest first."""
    text = str(node.value)
    if node.style is None:
        if text == "None":
            yield None
        number = number_in_yaml(text) if node.tag == TEXT else None
        if number:
            yield float(number)
            if float(number).is_integer():
                yield int(float(number))
        if not list(faults_of(node)):
            with contextlib.suppress(yaml.YAMLError, ValueError):
                yield yaml.SafeLoader("").construct_document(node)
    yield text


def _leaves(value: Any, key: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, (*key, name))
    else:
        yield key


def _lay_over(settings: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(settings.get(name), dict):
            _lay_over(settings[name], value)
        else:
            settings[name] = value
