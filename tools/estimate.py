"""Print what a run would write and how long it would compute, by stage and rule, before it starts.

Usage: python tools/estimate.py [OVERLAY ...], for instance python tools/estimate.py config/study.yaml. Overlays are
configuration files; settings of the command line can be written into one.

docs/scaling.md explains the numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from snakemake.utils import update_config

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.errors import InputError
from sparse_attention.files.room import size
from sparse_attention.settings import config as settings
from sparse_attention.settings.datasets import load_registry
from sparse_attention.settings.estimate import estimate
from sparse_attention.settings.origins import read_origins
from sparse_attention.settings.plan import Plan

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print the estimate of the default configuration with the overlays on the command line."""
    try:
        origins = read_origins([ROOT / "config" / "config.yaml", *sys.argv[1:]])
        config: dict[str, Any] = {}
        for _, layer in filter(None, (origins.base, *origins.overlays)):
            update_config(config, layer)
        registry = load_registry(ROOT / "config" / "datasets.yaml", config.get("datasets") or {}, origins)
        settings.validate(config, origins, registry, Path.cwd())
        found = estimate(Plan(config, registry), ROOT)
    except InputError as error:
        sys.exit(str(error))
    print(found.line)
    for stage, number in sorted(found.bytes.items(), key=lambda item: -item[1]):
        print(f"  results/{stage + '/':24s} {size(number):>10s}")
    for rule, seconds in sorted(found.seconds.items(), key=lambda item: -item[1]):
        print(f"  {rule:32s} {seconds / 3600:10.2f} core hours")


if __name__ == "__main__":
    main()
