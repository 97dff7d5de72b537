"""Models and data sets of the Hugging Face hub, by name and revision; the token in HF_TOKEN is never logged."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparse_attention.data.sources import url
from sparse_attention.data.sources.common import RefusedError, SourceError, Wanted
from sparse_attention.data.sources.hub_token import (
    HubSession,
    hidden_in_logs,
    why_refused,
    without_token,
)
from sparse_attention.data.sources.retrying import BusyError, is_temporary, repeat, wait_of
from sparse_attention.errors import reason


def plan(source: dict[str, Any], files: list[Wanted] | None) -> tuple[list[Wanted], dict[str, Any]]:
    """Ask the hub for the files of the revision.

    Returns
    -------
    wanted : list of Wanted
        `files`, or else those that match the source's `patterns`, or all, with sizes and checksums from the hub.
    resolved : dict
        The source with the key `commit`: the commit of its revision.
    """
    with _clear_errors(source):
        info = repeat(lambda: _ask(source))
    siblings = {file.rfilename: file for file in getattr(info, "siblings", None) or []}
    if files is None:
        patterns = source.get("patterns", ["*"])
        names = [name for name in sorted(siblings) if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
        files = [Wanted(name, name) for name in names if not name.startswith(".")]
    absent = [file.path for file in files if file.path not in siblings]
    if absent or not files:
        what = ", ".join(absent) or f"anything like {', '.join(source.get('patterns', ['*']))}"
        raise SourceError(f"{_where(source)} does not contain {what}")
    wanted = []
    for file in files:
        remote = siblings[file.path]
        sha256 = file.sha256 or (remote.lfs.sha256 if remote.lfs else None)
        git_sha1 = None if remote.lfs else remote.blob_id
        wanted.append(Wanted(file.path, file.name, sha256, file.size or remote.size, git_sha1))
    return wanted, {**source, "commit": info.sha}


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download the wanted files of the resolved commit to `folder`; interrupted downloads are resumed.

    The hub's own client deletes the part of a file that an interrupted download leaves, so it is not used for this.
    """
    from huggingface_hub import hf_hub_url

    commit, kind = source["commit"], source.get("repo_type", "model")
    for item in wanted:
        address = hf_hub_url(source["repo"], item.path, repo_type=kind, revision=commit, endpoint=_endpoint())
        # by commit, so that a part is not continued with another version of the file
        part = folder / commit / item.name
        with _clear_errors(source), HubSession() as session:
            url.download(address, part, session=session, size=item.size)
        target = folder / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, target)


def fetch_config(source: dict[str, Any], folder: Path) -> list[str]:
    """Read one configuration of a data set through `datasets` and store each split as `{split}.parquet`.

    The installed version of the library cannot run loading scripts of data sets.
    """
    import datasets

    with _clear_errors(source):
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


def _ask(source: dict[str, Any]) -> Any:
    """Return what the hub knows of the revision; raise `BusyError` for errors that may pass."""
    from httpx2 import NetworkError, RemoteProtocolError, TimeoutException
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    kind, seconds = source.get("repo_type", "model"), float(url.TIMEOUT[1])
    api = HfApi(endpoint=_endpoint())
    try:
        return api.repo_info(
            source["repo"], repo_type=kind, revision=source["revision"], files_metadata=True, timeout=seconds
        )
    except HfHubHTTPError as error:
        status = error.response.status_code
        if is_temporary(status):
            text = f"the list of its files: {url.answer(status)}"
            raise BusyError(text, wait_of(error.response.headers)) from None
        if status in (401, 403):
            raise RefusedError(_text(error), status) from None
        raise
    except (NetworkError, RemoteProtocolError, TimeoutException) as error:
        raise BusyError(f"the list of its files: {type(error).__name__}") from None


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _where(source: dict[str, Any]) -> str:
    return f"{source['repo']} at {source['revision']}"


def _text(error: Exception) -> str:
    text, name = without_token(reason(error)), type(error).__name__
    return text if text.startswith(name) else f"{name}: {text}"


@contextlib.contextmanager
def _clear_errors(source: dict[str, Any]) -> Iterator[None]:
    """Turn errors in the `with` block into a `SourceError` that names the repository; the token is not shown or logged.

    A full disk stays the error that it is.
    """
    try:
        with hidden_in_logs():
            yield
    except RefusedError as error:
        if problem := why_refused(refused=error.status == 401):
            raise SourceError(f"{_where(source)}: {error}; {problem}") from None
        page = f"{_endpoint() or 'https://huggingface.co'}/{_path(source)}"
        hint = f"if the repository is private or asks to accept its terms ({page}), set HF_TOKEN to a token with access"
        raise SourceError(f"{_where(source)}: {error}; {hint}") from None
    except SourceError as error:
        raise SourceError(f"{_where(source)}: {error}") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        problem = why_refused(refused=False) if isinstance(error, UnicodeError) else None
        raise SourceError(f"{_where(source)}: {problem or _text(error)}") from None


def _path(source: dict[str, Any]) -> str:
    return f"datasets/{source['repo']}" if source.get("repo_type") == "dataset" else str(source["repo"])
