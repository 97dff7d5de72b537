"""Tables, figures, report and manifest are made without torch."""

import subprocess
import sys
from pathlib import Path

from sparse_attention.summaries.registry import discover

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
NAMES = "summarise summarise_predictors summarise_uncertainty summarise_pruning summarise_timings check_invariants"
NAMES += " write_latex plot_pareto plot_areas plot_distances plot_buckets plot_heatmaps plot_training plot_projections"
NAMES += " manifest report"
TABLES = [table.module for table in discover().values()]


def test_they_import_where_torch_is_missing():
    code = "import sys; sys.modules['torch'] = None; " + "; ".join(
        f"import {name}" for name in [*NAMES.split(), *TABLES]
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS), "PATH": ""}, check=True)


def test_the_driver_finds_tables_where_pandas_is_missing_too():
    code = "import sys; sys.modules |= dict.fromkeys(('torch', 'pandas', 'numpy'))\n"
    code += "from sparse_attention.summaries.planned import discover\nprint(*discover())"
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS), "PATH": ""}, check=True, capture_output=True
    )
    assert run.stdout.decode().split() == list(discover())
