"""Plans of the default configuration with changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from sparse_attention.settings.plan import Plan

ROOT = Path(__file__).parents[2]


def read(name: str) -> Any:
    """Return the contents of a file in `config/`."""
    return yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))


def plan(overlay: dict[str, Any] | None = None, **changes: Any) -> Plan:
    """Return the plan of the default configuration with an overlay and changes, such as `blocks__length=20`."""
    config = copy.deepcopy(read("config.yaml"))
    for name, value in (overlay or {}).items():
        both = isinstance(config[name], dict) and isinstance(value, dict)
        config[name] = {**config[name], **value} if both else value
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            config[section][key] = value
        else:
            config[section] = value
    return Plan(config, read("datasets.yaml"))
