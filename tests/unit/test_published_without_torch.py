"""Tables, figures, report and manifest are made without torch."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
NAMES = "summarise_corpus summarise_models summarise_gold summarise_predictors summarise_projections plot_pareto"
NAMES += " summarise_uncertainty summarise_offsets summarise_buckets summarise_deviations check_invariants write_latex"
NAMES += " plot_areas plot_distances plot_buckets plot_heatmaps plot_training plot_projections manifest report"


def test_they_import_where_torch_is_missing():
    code = "import sys; sys.modules['torch'] = None; " + "; ".join(f"import {name}" for name in NAMES.split())
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS), "PATH": ""}, check=True)
