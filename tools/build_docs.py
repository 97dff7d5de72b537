"""Build the site of the documents: python tools/build_docs.py [FOLDER]; the default folder is site/.

The site is made of the Markdown files of the repository as they are, so that their links work there and in the
repository. Two parts are generated: the list of all keys of the configuration, and the library's interface from its
docstrings. Broken links and anchors are errors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import configuration_page

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "workflow/scripts/sparse_attention"
COPIED = ("*.md", "CITATION.cff", "LICENSE", "docs/**/*", "config/**/*", "profiles/**/*", "results/README.md")
SHOWN = {
    "attention": "entmax and its support, masks, and supports as sets of pairs",
    "block_sparse": "attention over block lists: building lists, kernels, certificates",
    "predictors": "all predictors and what they share",
    "qk": "stores of queries and keys, and their gold supports",
    "projections": "learned projections",
    "clusters": "k-means centroids",
    "evaluation": "sweeps over thresholds and windows, and their metrics",
    "sparse_models": "language models under predicted attention",
    "pruning": "importance scores, thresholds, classifiers with dropped tokens",
    "archiving": "bundles of results",
    "errors": "the error of a user's mistake",
}
"""The packages whose interface the site shows, with a line on each."""


def stage(folder: Path) -> None:
    """Write the sources of the site to a folder."""
    for pattern in COPIED:
        for path in ROOT.glob(pattern):
            if path.is_file():
                target = folder / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    (folder / "configuration.md").write_text(configuration_page.page(), encoding="utf-8")
    (folder / "library").mkdir()
    for package, line in SHOWN.items():
        (folder / "library" / f"{package}.md").write_text(interface(package, line), encoding="utf-8")


def interface(package: str, line: str) -> str:
    """Return the page of a package: its modules with their public names."""
    modules = sorted((LIBRARY / package).rglob("*.py")) or [LIBRARY / f"{package}.py"]
    relative = [path.relative_to(LIBRARY).with_suffix("") for path in modules if not path.name.startswith("_")]
    names = [".".join(path.parts) for path in relative]
    parts = [f"# {package}", f"{line[0].upper()}{line[1:]}.", *(f"::: sparse_attention.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


def build(target: Path) -> int:
    """Build the site into a folder, and return MkDocs' exit code: broken links are errors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source").mkdir()
        stage(folder / "source")
        shutil.copyfile(ROOT / "mkdocs.yml", folder / "mkdocs.yml")
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(folder / "mkdocs.yml")]
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY.parent)}  # where docstrings are read from
        return subprocess.run([*command, "--site-dir", str(target.resolve())], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"))
