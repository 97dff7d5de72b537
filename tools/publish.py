"""Upload a bundle to a draft on Zenodo: python tools/publish.py [results/archive/bundle.zip] [--server ADDRESS].

The draft is made on Zenodo's sandbox unless `--server https://zenodo.org` says otherwise, and nothing is published:
open the address that is printed, review the draft, and publish it there. The access token comes from the environment
variable ZENODO_TOKEN. After an interruption, the same command continues. A later call sends changed files to the same
draft and leaves its metadata as they are; `--metadata` writes them again, and `--new` starts another draft.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention.archiving.bundle import ALLOWED, MANIFEST, Bundle  # noqa: E402
from sparse_attention.archiving.card import summary_of  # noqa: E402
from sparse_attention.archiving.crate import read_citation  # noqa: E402
from sparse_attention.archiving.deposit import SANDBOX, TOKEN, Draft  # noqa: E402
from sparse_attention.archiving.metadata import metadata_of  # noqa: E402
from sparse_attention.archiving.stages import is_mixed  # noqa: E402
from sparse_attention.archiving.targets import BESIDE  # noqa: E402
from sparse_attention.errors import InputError, damage_in  # noqa: E402
from sparse_attention.jobs.log import configure_logging, logger  # noqa: E402

HERE = ("localhost", "127.0.0.1")


def publish(place: Path, server: str, token: str, metadata: bool = False, fresh: bool = False) -> str:
    """Upload a bundle, and return the address of the draft.

    Parameters
    ----------
    place : Path
        The bundle; the file that remembers its drafts lies beside it.
    server, token : str
        The server's address, and the user's access token.
    metadata : bool
        Replace the metadata of a draft that has some already.
    fresh : bool
        Start a new draft even if there is one.

    Raises
    ------
    InputError
        When `place` is no zipped bundle or a damaged one, or the server refuses something.
    """
    if not place.is_file():
        raise InputError(f"{place}: no such file; allowed: a zipped bundle, as `make archive` writes it")
    bundle = Bundle(place)
    # all that can be wrong with the bundle is found before there is a draft
    bundle.check(about=True)
    texts = {name: bundle.read(name) for name in BESIDE}
    description = described(bundle)
    draft = Draft(server, token, place.with_name(f"{place.stem}.draft.json"), fresh)
    with tempfile.TemporaryDirectory() as folder:
        beside = [Path(folder) / name for name in texts]
        for file in beside:
            file.write_bytes(texts[file.name])
        draft.upload([*beside, place])
    if metadata or draft.is_bare:
        draft.describe(description)
        if is_mixed(bundle.stages, bundle.members):
            logger.info("the bundle holds text, code or models of others: set the licence on the draft's page")
    else:
        logger.info("the draft keeps its metadata; --metadata writes them again")
    return draft.address


def described(bundle: Bundle) -> dict[str, Any]:
    """Return the metadata of a draft with a bundle; raise `InputError` when what the bundle says of itself is odd."""
    with damage_in(f"{bundle.place}: {MANIFEST}", ALLOWED):
        version = bundle.manifest.get("code", {}).get("version")
    with bundle.damage():
        mixed, summary = is_mixed(bundle.stages, bundle.members), summary_of({"config": bundle.config})
        return metadata_of(read_citation(ROOT), summary, bundle.data, mixed, version)


def wrong_token(token: str) -> str:
    """Return why a text cannot be sent as an access token, without the text; empty when it can."""
    if not token:
        return "is not set in the environment"
    if any(char.isspace() or not char.isprintable() for char in token):
        return "holds a blank, a line break or a control character"
    return "" if token.isascii() else "holds letters or signs that are not ASCII"


def is_allowed(server: str) -> bool:
    """Return whether a token may go to an address: encrypted, or to this machine."""
    try:
        parts = urlsplit(server)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE))
    except ValueError:
        return False


def main() -> None:
    """Read the command line and the token, and upload."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("bundle", nargs="?", type=Path, default=Path("results/archive/bundle.zip"))
    parser.add_argument("--server", default=SANDBOX, help=f"default: {SANDBOX}")
    parser.add_argument("--metadata", action="store_true", help="replace what describes a draft that is there already")
    parser.add_argument("--new", action="store_true", help="start a new draft even if there is one")
    options = parser.parse_args()
    configure_logging(None)
    token = os.environ.get(TOKEN, "").strip()
    if wrong := wrong_token(token):
        sys.exit(f"{TOKEN} {wrong}; allowed: an access token of {options.server}, and nothing else")
    if not is_allowed(options.server):
        sys.exit(f"--server: {options.server} is not allowed; allowed: an address that starts with https://")
    try:
        address = publish(options.bundle, options.server, token, options.metadata, options.new)
        print(f"Review and publish the draft: {address}")
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
