"""The commands of conda that Snakemake calls, on py-rattler: its solver and its installer are those of real tools.

A channel without a URL is looked up under $CONDA_CHANNEL_ALIAS, as conda does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import rattler
import yaml

ROOT = Path(sys.prefix)
VERSION = "25.1.0"  # Snakemake asks for 24.7.1 or newer


async def install_from_channels(channels: list[str], specs: list[str], prefix: Path) -> None:
    """Solve for the specifications and install the packages into the prefix."""
    config = rattler.ChannelConfig(
        channel_alias=os.environ["CONDA_CHANNEL_ALIAS"].rstrip("/") + "/", root_dir=os.getcwd()
    )
    cache = ROOT / "pkgs"
    records = await rattler.solve(
        sources=[rattler.Channel(name, config) for name in channels if name != "nodefaults"],
        specs=[rattler.MatchSpec(spec, strict=False) for spec in specs],
        platforms=[str(rattler.Platform.current()), "noarch"],
        gateway=rattler.Gateway(cache_dir=cache / "repodata"),
        virtual_packages=rattler.VirtualPackage.detect(),
        channel_priority=rattler.ChannelPriority.Strict,
    )
    await rattler.install(records, target_prefix=prefix, cache_dir=cache, show_progress=False)


def create(file: Path, prefix: Path) -> None:
    """Create an environment from a file: first conda's packages, then those of its `pip` section, as conda does."""
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    specs = [item for item in environment["dependencies"] if isinstance(item, str)]
    pins = [pin for item in environment["dependencies"] if isinstance(item, dict) for pin in item["pip"]]
    asyncio.run(install_from_channels(environment["channels"], specs, prefix))
    if not pins:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".requirements.txt") as requirements:
        requirements.write("\n".join(pins) + "\n")
        requirements.flush()
        pip = [str(prefix / "bin" / "python"), "-m", "pip", "install", "-U", "-r", requirements.name]
        subprocess.run([*pip, "--exists-action=b"], check=True)


def main(arguments: list[str]) -> None:
    """Carry out one command."""
    if arguments == ["--version"]:
        print(f"conda {VERSION}")
    elif arguments == ["info", "--json"]:
        print(
            json.dumps(
                {"conda_prefix": str(ROOT), "platform": str(rattler.Platform.current()), "conda_version": VERSION}
            )
        )
    elif arguments == ["config", "--get", "channel_priority", "--json"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments[:2] == ["env", "create"]:
        parser = argparse.ArgumentParser(prog="conda env create")
        parser.add_argument("--quiet", "--no-default-packages", action="store_true")
        parser.add_argument("--file", type=Path, required=True)
        parser.add_argument("--prefix", type=Path, required=True)
        given = parser.parse_args(arguments[2:])
        create(given.file.absolute(), given.prefix.absolute())
    elif arguments[:1] == ["clean"]:
        pass  # the archives of two small packages
    else:
        sys.exit(f"the front end of the tests does not know: conda {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
