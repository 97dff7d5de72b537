"""The archive in the repository fits the workflow as it is."""

from __future__ import annotations

from collections import Counter

import yaml

from sparse_attention.archiving.bundle import Bundle

ARCHIVE = "archive/reference"
FILES = (f"{ARCHIVE}/config.yaml", "config/zenodo.yaml")


def lacks(wanted, archived, name=""):
    """Return the dotted keys of a configuration whose values another one does not have."""
    if not (isinstance(wanted, dict) and isinstance(archived, dict)):
        return [] if wanted == archived else [name]
    inner = {f"{name}.{key}".lstrip("."): (value, archived.get(key)) for key, value in wanted.items()}
    return [missing for key, (value, other) in inner.items() for missing in lacks(value, other, key)]


def test_all_figures_of_the_reference_study_are_drawn_from_the_archive_and_nothing_is_computed(checkout):
    planned = Counter(checkout.planned("figures", "results/report.html", configfiles=FILES))
    assert set(planned) == {"retrieve", "restore_tables", "plot", "report"}
    # its own model is made by another run, so that a dry run of it needs one that can be had
    study = ("config/reference.yaml", checkout.write("another.yaml", "model: minilm-l6\n"))
    assert planned["plot"] == Counter(checkout.planned("figures", configfiles=study))["plot"]


def test_the_archive_is_of_the_reference_study_as_it_is_configured(checkout):
    study, archived = (
        yaml.safe_load((checkout.folder / name).read_text()) for name in ("config/reference.yaml", FILES[0])
    )
    assert lacks(study, archived) == []


def test_the_archive_stays_small_and_holds_what_the_report_shows(checkout):
    bundle = Bundle(checkout.folder / ARCHIVE)
    assert bundle.place.stat().st_size < 10e6 and "tables" in bundle.stages
    assert {"results/provenance/manifest.json", "results/timings/pruning_timings.tsv"} <= set(bundle.members)
    assert bundle.data and all(receipt["licence"] for receipt in bundle.data if receipt["version"] != "local")
