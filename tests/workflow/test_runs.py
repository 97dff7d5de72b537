"""What the workflow plans: for each preset, after an edit, and when there is nothing to do."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# zenodo.yaml goes over the archived configuration, not over the default one: tests/workflow/test_archive.py
PRESETS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "config").rglob("*.yaml")
    if path.name not in ("config.yaml", "datasets.yaml", "zenodo.yaml")
)


def snakefiles():
    return [ROOT / "Snakefile", ROOT / "workflow" / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


def test_lint_is_clean(checkout):
    run = checkout.snakemake("--lint")
    assert run.returncode == 0, run.stdout + run.stderr


def test_snakefiles_are_formatted():
    run = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", *snakefiles()], capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr


def make_base_model(folder):
    """Put what `make reference` trains first where config/reference.yaml expects it, without weights."""
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "vocab_size": 30522}
    shape |= {"model_type": "bert", "max_position_embeddings": 512}
    (model,) = yaml.safe_load((ROOT / "config/reference.yaml").read_text())["models"].values()
    (folder / model["path"]).mkdir(parents=True)
    (folder / model["path"] / "config.json").write_text(json.dumps(shape))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_plans(checkout, preset):
    if preset == "config/reference.yaml":
        make_base_model(checkout.folder)
    # more seeds are more of the same jobs
    assert "report" in checkout.planned("--config", "seeds=[1]", configfiles=(preset,))


def test_default_configuration_plans_and_says_how_much(checkout):
    run = checkout.snakemake("--dry-run", configfiles=())
    assert run.returncode == 0, run.stdout + run.stderr
    assert "grid points" in run.stdout + run.stderr


@pytest.mark.parametrize(("lambdas", "drawn"), [("0.1", False), ("[0.0, 0.1]", True)], ids=["one", "two"])
def test_the_figure_of_lambdas_is_drawn_where_prunings_differ_in_it(checkout, lambdas, drawn):
    overlay = checkout.write("lambdas.yaml", f"prunings: [{{mode: threshold, final: 0.03, lambda: {lambdas}}}]\n")
    run = checkout.snakemake("--dry-run", configfiles=("tests/config/tiny.yaml", overlay))
    assert run.returncode == 0, run.stdout + run.stderr
    assert ("results/figures/pruning_strength.svg" in run.stdout + run.stderr) == drawn


def test_the_catalogue_shim_plans_the_same_and_the_tiny_configuration_stays_small(checkout):
    shim, own = checkout.planned("--snakefile", "workflow/Snakefile"), checkout.planned()
    assert sorted(shim) == sorted(own)
    # the limit keeps this suite fast; a table or a figure is one short job each, without torch
    assert sum(rule not in {"summarise", "plot"} for rule in own) <= 68


def rules():
    """Yield the name and the text of every rule."""
    for path in sorted((ROOT / "rules").glob("*.smk")):
        parts = re.split(r"^ *rule (\w+):$", path.read_text(), flags=re.MULTILINE)
        yield from (pytest.param(*pair, id=pair[0]) for pair in zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("name", "text"), list(rules()))
def test_every_rule_is_complete(name, text):
    order = "input output log benchmark conda threads resources params message script".split()
    found = [word for word in re.findall(r"^ +(\w+):", text, re.MULTILINE) if word in order]
    # a rule without threads uses one
    assert found == [word for word in order if word in found or word != "threads"]
    assert re.search(rf'code\(\s*"{name}"', text)
    for expected in (f"../envs/{name}.yaml", f"../workflow/scripts/{name}.py"):
        assert expected in text
    assert re.search(rf'^ +log_of\("{name}"', text, re.MULTILINE)
    assert re.search(rf'^ +benchmark_of\("{name}"', text, re.MULTILINE)


@pytest.mark.parametrize("script", sorted((ROOT / "workflow/scripts").glob("*.py")), ids=lambda path: path.stem)
def test_scripts_are_thin_and_can_be_run_by_snakemake(script):
    text = script.read_text()
    assert len(text.splitlines()) <= 60
    # Snakemake writes a preamble in front of a script, and this import must be first
    assert "from __future__" not in text
    assert text.endswith('if __name__ == "__main__":\n    run(main, snakemake)  # noqa: F821\n')


def test_driver_works_without_torch(checkout):
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from snakemake.cli import main\n"
        "main(['--dry-run', '--quiet', '--cores', '1', '--configfile', 'tests/config/tiny.yaml'])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=checkout.folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_second_run_does_nothing(copy_of_finished):
    assert copy_of_finished.planned() == []


def test_a_fresh_checkout_of_the_same_code_re_runs_nothing(copy_of_finished):
    for path in (copy_of_finished.folder / "workflow").rglob("*.py"):
        path.touch()
    assert copy_of_finished.planned() == []


def test_an_edit_of_a_script_re_runs_its_rule(copy_of_finished):
    script = copy_of_finished.folder / "workflow/scripts/gold_support.py"
    script.write_text(script.read_text().replace("def main", "UNUSED = 1\n\n\ndef main"))
    planned = set(copy_of_finished.planned())
    assert {"gold_support", "evaluate_predictor"} <= planned and "extract_qk" not in planned


def test_a_comment_in_the_library_re_runs_nothing(copy_of_finished):
    module = copy_of_finished.folder / "workflow/scripts/sparse_attention/attention/entmax.py"
    module.write_text(module.read_text() + "\n# a remark\n")
    assert copy_of_finished.planned() == []


def test_an_edit_of_the_progress_bar_re_runs_nothing(copy_of_finished):
    module = copy_of_finished.folder / "workflow/scripts/sparse_attention/jobs/progress.py"
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    assert copy_of_finished.planned() == []


@pytest.mark.parametrize("file", ["counts.py", "metrics/recall.py"])
def test_an_edit_of_the_metrics_re_runs_evaluation_but_no_training(file, copy_of_finished):
    module = copy_of_finished.folder / "workflow/scripts/sparse_attention/evaluation" / file
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    planned = set(copy_of_finished.planned())
    assert "evaluate_predictor" in planned and "report" in planned
    assert planned.isdisjoint({"retrieve", "prepare", "tokenise", "train_mlm", "extract_qk", "gold_support"})


def test_an_edit_of_one_predictor_re_runs_only_its_jobs(copy_of_finished):
    module = copy_of_finished.folder / "workflow/scripts/sparse_attention/predictors/buckets.py"
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    planned = copy_of_finished.planned("--until", "evaluate_predictor")
    assert planned == ["evaluate_predictor"]


def test_an_edit_of_one_figure_draws_only_that_one_again(copy_of_finished):
    module = copy_of_finished.folder / "workflow/scripts/sparse_attention/plotting/figures/heatmap_gold.py"
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    assert sorted(copy_of_finished.planned()) == ["plot", "report", "summarise_runtime"]


def test_another_setting_draws_only_the_figure_that_reads_it_again(copy_of_finished):
    overlay = copy_of_finished.write("heatmap.yaml", "figures: {heatmap: {predictor: cos}}\n")
    configfiles = ("tests/config/tiny.yaml", overlay)
    assert copy_of_finished.planned("--until", "plot", configfiles=configfiles) == ["plot"]


def test_a_wider_grid_re_runs_that_predictor_only(copy_of_finished):
    overlay = copy_of_finished.write("wider.yaml", "predictors: {cos: {threshold: [0.05, 0.2, 0.5, 0.9]}}\n")
    planned = copy_of_finished.planned("--until", "evaluate_predictor", configfiles=("tests/config/tiny.yaml", overlay))
    assert planned == ["evaluate_predictor"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blokcs: {length: 32}", ["blokcs: no such key; did you mean blocks?"]),
        ("train_mlm: {steps: none}", ["train_mlm.steps: 'none'", "a whole number at least 1"]),
        ("corpora: {tiny: {path: nowhere.xml}}", ["corpora.tiny.path: nowhere.xml: no such file or folder"]),
        ("models: {tiny: {path: nowhere}}", ["models.tiny.path: nowhere: no such file or folder"]),
        ("extract_qk: {source: nowhere.pt}", ["extract_qk.source: nowhere.pt: no such file or folder"]),
    ],
    ids=["unknown key", "wrong type", "missing text", "missing model", "missing dump"],
)
def test_a_bad_configuration_stops_before_any_job(checkout, text, words):
    overlay = checkout.write("bad.yaml", text)
    run = checkout.snakemake(configfiles=("tests/config/tiny.yaml", overlay))
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert "Traceback" not in output
    for word in words:
        assert word in output
    assert "bad.yaml" in output
    assert not (checkout.folder / "results" / "data").exists()


@pytest.mark.skipif(shutil.which("conda") is not None, reason="conda is installed here")
@pytest.mark.parametrize("arguments", [["--use-conda"], ["--use-conda", "--dry-run"]], ids=["run", "dry-run"])
def test_without_conda_the_request_for_it_is_refused_before_any_job(arguments, checkout):
    run = checkout.snakemake(*arguments)
    assert run.returncode == 1
    assert (run.stdout + run.stderr).count("--use-conda: conda is not on the path") == 1
    assert not (checkout.folder / "results").exists()
