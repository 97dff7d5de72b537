from __future__ import annotations

import subprocess
import sys

import pytest

import doctor

TOOL = doctor.ROOT / "tools" / "estimate.py"


def run(*overlays):
    return subprocess.run([sys.executable, TOOL, *overlays], capture_output=True, text=True, cwd=doctor.ROOT)


def test_stages_and_rules_follow_the_sum():
    lines = run("config/study.yaml").stdout.splitlines()
    assert lines[0].startswith("about ") and any(line.startswith("  results/qk/") for line in lines)
    assert any(line.split()[:1] == ["evaluate_predictor"] for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_mlm: {steps: many}", "train_mlm.steps: 'many' is not allowed"),
        ("model: other", "model: 'other' is not in models"),
        ("no_such_key: 3", "no_such_key: no such key"),
        (None, "no such file"),
    ],
    ids=["type", "name", "key", "missing file"],
)
def test_a_wrong_overlay_is_refused_as_in_a_run(text, message, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    if text:
        overlay.write_text(text)
    done = run(overlay)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
