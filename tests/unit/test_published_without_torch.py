"""Tables, figures, report and manifest are made without torch."""

import subprocess
import sys
from pathlib import Path

from sparse_attention.plotting import registry as figures
from sparse_attention.summaries import registry as tables

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
NAMES = "summarise summarise_predictors summarise_uncertainty summarise_pruning summarise_timings check_invariants"
NAMES += " summarise_runtime summarise_sparse_mlm write_latex plot manifest report"
PLUGINS = [info.module for registry in (figures, tables) for info in registry.discover().values()]


def test_they_import_where_torch_is_missing():
    code = "import sys; sys.modules['torch'] = None; " + "; ".join(
        f"import {name}" for name in [*NAMES.split(), *PLUGINS]
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS), "PATH": ""}, check=True)


def test_the_driver_finds_tables_and_figures_where_pandas_and_matplotlib_are_missing_too():
    code = "import sys; sys.modules |= dict.fromkeys(('torch', 'matplotlib', 'pandas', 'numpy'))\n"
    code += "from sparse_attention.plotting.planned import discover as figures\n"
    code += "from sparse_attention.summaries.planned import discover\nprint(*discover(), *figures())"
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS), "PATH": ""}, check=True, capture_output=True
    )
    assert run.stdout.decode().split() == [*tables.discover(), *figures.discover()]
