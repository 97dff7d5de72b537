"""Models and data sets of the Hugging Face hub, by name and revision; the token in HF_TOKEN is never logged."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm.auto import tqdm  # type: ignore[import-untyped]

from sparse_attention.data.sources.common import MEGABYTE, SourceError, Wanted
from sparse_attention.errors import reason
from sparse_attention.jobs.progress import ProgressBar


class LoggedProgress(tqdm):
    """A progress bar for the hub's client that writes to the workflow's log."""

    def __init__(self, *_: object, total: float | None = None, desc: str | None = None, **__: object) -> None:
        super().__init__(disable=True)
        self.done = 0.0
        self.bar = ProgressBar(int(total or 0) // MEGABYTE, f"{desc or 'download'} (MB)")

    def update(self, n: float | None = 1) -> None:
        """Count `n` more bytes."""
        self.done += n or 0
        self.bar.update(int(self.done) // MEGABYTE)


def plan(source: dict[str, Any], files: list[Wanted] | None) -> tuple[list[Wanted], dict[str, Any]]:
    """Ask the hub for the files of the revision.

    Returns
    -------
    wanted : list of Wanted
        `files`, or else those that match the source's `patterns`, or all, with sizes and checksums from the hub.
    resolved : dict
        The source with the key `commit`: the commit of its revision.
    """
    from huggingface_hub import HfApi

    with _errors(source):
        info = HfApi(endpoint=_endpoint()).repo_info(
            source["repo"], repo_type=source.get("repo_type", "model"), revision=source["revision"], files_metadata=True
        )
    siblings = {file.rfilename: file for file in getattr(info, "siblings", None) or []}
    if files is None:
        patterns = source.get("patterns", ["*"])
        names = [name for name in sorted(siblings) if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
        files = [Wanted(name, name) for name in names if not name.startswith(".")]
    absent = [file.path for file in files if file.path not in siblings]
    if absent or not files:
        what = ", ".join(absent) or f"anything like {', '.join(source.get('patterns', ['*']))}"
        raise SourceError(f"{source['repo']} at {source['revision']} does not contain {what}")
    wanted = []
    for file in files:
        remote = siblings[file.path]
        sha256 = file.sha256 or (remote.lfs.sha256 if remote.lfs else None)
        git_sha1 = None if remote.lfs else remote.blob_id
        wanted.append(Wanted(file.path, file.name, sha256, file.size or remote.size, git_sha1))
    return wanted, {**source, "commit": info.sha}


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download the wanted files of the resolved commit to `folder`; interrupted downloads are resumed."""
    from huggingface_hub import hf_hub_download

    for item in wanted:
        with _errors(source):
            found = hf_hub_download(
                source["repo"],
                item.path,
                repo_type=source.get("repo_type", "model"),
                revision=source.get("commit", source["revision"]),
                local_dir=folder / "hub",
                endpoint=_endpoint(),
                tqdm_class=LoggedProgress,
            )
        target = folder / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(found, target)


def fetch_config(source: dict[str, Any], folder: Path) -> list[str]:
    """Read one configuration of a data set through `datasets` and store each split as `{split}.parquet`.

    The installed version of the library cannot run loading scripts of data sets.
    """
    import datasets

    with _errors(source):
        loaded = datasets.load_dataset(
            source["repo"], source["config"], revision=source["revision"], cache_dir=str(folder / "datasets")
        )
    names = []
    for split, rows in loaded.items():
        rows.to_parquet(str(folder / f"{split}.parquet"))
        names.append(f"{split}.parquet")
    return sorted(names)


def by_hand(source: dict[str, Any], item: Wanted | None = None) -> str:
    """Return how to get the file by hand."""
    what = item.path if item else "its files"
    kind = f" --repo-type {source['repo_type']}" if "repo_type" in source else ""
    command = f"hf download {source['repo']}{f' {item.path}' if item else ''}{kind} --revision {source['revision']}"
    return f"`{command}`, and take {what} from the folder it prints"


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")


class _errors:
    """Turns errors of the hub's client into a `SourceError` without the token in its message."""

    def __init__(self, source: dict[str, Any]) -> None:
        self.source = source

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, SourceError):
            return
        if isinstance(error, OSError) and error.errno == 28:
            return
        text = reason(error)
        token = os.environ.get("HF_TOKEN")
        if token:
            text = text.replace(token, "***")
        where = f"{self.source['repo']} at {self.source['revision']}"
        name = type(error).__name__
        raise SourceError(f"{where}: {text if text.startswith(name) else f'{name}: {text}'}") from None
