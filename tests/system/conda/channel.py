"""Write a conda channel with the two packages that every environment of this project takes from conda: python and pip.

`python` links to the interpreter that runs this file, as a virtual environment does. `pip` is the one in that
interpreter's standard library. Usage: python channel.py FOLDER
"""

from __future__ import annotations

import asyncio
import ensurepip
import hashlib
import io
import json
import platform
import sys
import tarfile
import zipfile
from pathlib import Path

from rattler import Platform
from rattler.index import index_fs

VERSION = platform.python_version()
SHORT = ".".join(VERSION.split(".")[:2])


def write_package(folder: Path, index: dict[str, object], files: dict[str, bytes], links: dict[str, str]) -> None:
    """Write a package in conda's format; `links` gives the target of each symbolic link."""
    paths = [
        {"_path": name, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        for name, data in files.items()
    ]
    nothing = hashlib.sha256(b"").hexdigest()
    paths += [{"_path": name, "path_type": "softlink", "sha256": nothing, "size_in_bytes": 0} for name in links]
    about = {"info/index.json": index, "info/paths.json": {"paths": paths, "paths_version": 1}}
    if index.get("noarch") == "python":
        about["info/link.json"] = {"noarch": {"type": "python", "entry_points": []}, "package_metadata_version": 1}
    content = files | {name: json.dumps(value).encode() for name, value in about.items()}
    content["info/files"] = "\n".join([*files, *links]).encode()
    target = folder / str(index["subdir"]) / f"{index['name']}-{index['version']}-{index['build']}.tar.bz2"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:bz2", compresslevel=1) as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
        for name, link in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            archive.addfile(entry)


def index_of(name: str, version: str, subdir: str, depends: list[str]) -> dict[str, object]:
    """Return what a package says of itself."""
    return {"name": name, "version": version, "build": "0", "build_number": 0, "subdir": subdir, "depends": depends}


def write_python(folder: Path) -> None:
    """Write the package `python` for this platform."""
    home = Path(sys.base_prefix) / "bin"
    files = {
        "pyvenv.cfg": f"home = {home}\ninclude-system-site-packages = false\nversion = {VERSION}\n".encode(),
        f"lib/python{SHORT}/site-packages/README.txt": b"Packages go here.\n",
    }
    links = {f"bin/python{SHORT}": str(home / f"python{SHORT}"), "bin/python3": f"python{SHORT}"}
    index = index_of("python", VERSION, str(Platform.current()), [])
    write_package(folder, index, files, links | {"bin/python": f"python{SHORT}"})


def write_pip(folder: Path) -> None:
    """Write the package `pip` for all platforms."""
    wheel = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        files = {f"site-packages/{name}": archive.read(name) for name in names}
    index = index_of("pip", wheel.name.split("-")[1], "noarch", [f"python >={SHORT}"])
    write_package(folder, index | {"noarch": "python"}, files, {})


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_python(target)
    write_pip(target)
    asyncio.run(index_fs(str(target), force=True))
