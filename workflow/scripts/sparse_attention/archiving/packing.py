"""Packs results of a finished run into a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sparse_attention.archiving.bundle import INDEX, MANIFEST, Member
from sparse_attention.archiving.card import readme, summary_of
from sparse_attention.archiving.crate import NAME, describe, read_citation
from sparse_attention.archiving.stages import CARRIED, STAGES, held, is_mixed, stages_of
from sparse_attention.archiving.targets import ADDED, BESIDE, require_target, written_to
from sparse_attention.archiving.writing import index_of, is_zip, member_of, write
from sparse_attention.errors import InputError, damage_in
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.checksums import sha256_of
from sparse_attention.files.plain import read_json


def pack(
    target: Path, outputs: Mapping[str, str], stages: Sequence[str], folder: Path, workflow: Path
) -> tuple[int, int]:
    """Write a bundle of a finished run, and return the number of its files of results and their bytes.

    Parameters
    ----------
    target : Path
        The bundle: a zip file if it ends with `.zip`, else a folder.
    outputs : mapping of str to str
        The rule that made each result of the run, by the result's path in `folder`.
    stages : sequence of str
        The stages to pack.
    folder, workflow : Path
        The folder of the run and that of the workflow.

    Raises
    ------
    InputError
        When a stage is unknown, has no results, a result is missing, or `target` holds something else than a bundle.
    """
    for stage in stages or [""]:
        if stage not in (*STAGES, *CARRIED):
            raise InputError(f"STAGES: {stage!r} is not allowed; allowed: {', '.join((*STAGES, *CARRIED))}")
    require_target(target, outputs, folder, workflow)
    stages = held(stages)
    chosen = {path for path, rule in outputs.items() if stages_of(rule, path) & set(stages)}
    for stage in stages:
        if not any(stage in stages_of(rule, path) for path, rule in outputs.items()):
            raise InputError(f"STAGES: this run has no results of the stage {stage}; allowed: the other stages")
    files = {path: folder / path for path in sorted(_files_in(chosen | {MANIFEST}, folder))}
    members = [Member(path, file.stat().st_size, sha256_of(file)) for path, file in files.items()]
    manifest = read_json(folder / MANIFEST, "the manifest of a finished run")
    texts = _about(manifest, stages, members, workflow)
    with written_to(target):
        # first, because what stands beside an earlier bundle is replaced only together with it
        write(target, files | {name: workflow / name for name in ADDED}, texts)
        for name in BESIDE if is_zip(target) else ():
            with atomic_path(target.with_name(name)) as partial:
                partial.write_text(texts[name], encoding="utf-8")
    return len(members), sum(member.size for member in members)


def _about(
    manifest: Mapping[str, Any], stages: Sequence[str], members: Sequence[Member], workflow: Path
) -> dict[str, str]:
    """Return the contents of the files that describe a bundle; each lists those before it with their checksums."""
    citation = read_citation(workflow)
    with damage_in(MANIFEST, "that of a finished run, so call make run first"):
        config, data, summary = manifest["config"], manifest["data"], summary_of(manifest)
        texts = {"README.md": readme(manifest, citation, stages, members), "config.yaml": configuration(config)}
    about = [member_of(name, (workflow / name).read_bytes()) for name in ADDED]
    about += [member_of(name, text.encode()) for name, text in texts.items()]
    # neither can hold the checksum of the other and be in it as well
    mixed = is_mixed(stages, (member.path for member in members))
    texts[NAME] = describe(citation, summary, [*members, *about], data, [INDEX], mixed)
    about.append(member_of(NAME, texts[NAME].encode()))
    texts[INDEX] = index_of(config, stages, members, data, about)
    return texts


def configuration(config: Mapping[str, Any]) -> str:
    """Return the text of a bundle's `config.yaml`: the configuration of the run, to be laid over the defaults.

    Where the run itself started from is left out, because a mapping of the reader's would be merged with it.
    """
    text: str = yaml.safe_dump({**config, "start_from": None}, sort_keys=False, allow_unicode=True, width=120)
    return "# The whole configuration of the archived run; absolute paths are cut to their last part.\n" + text


def _files_in(paths: Iterable[str], folder: Path) -> Iterable[str]:
    """Yield the paths of files, and those of the files in folders without hidden ones."""
    for path in paths:
        place = folder / path
        if place.is_dir():
            inner = (file.relative_to(folder) for file in place.rglob("*") if file.is_file())
            yield from (file.as_posix() for file in inner if not file.name.startswith("."))
        elif place.is_file():
            yield path
        else:
            raise InputError(f"{path}: is missing; allowed: a finished run, so call make run first")
