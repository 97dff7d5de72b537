"""The archive in the repository fits the workflow as it is."""

from __future__ import annotations

from collections import Counter

from sparse_attention.archiving.bundle import Bundle

FILES = ("archive/default/config.yaml", "config/zenodo.yaml")
NEWER = ("attention_maps",)
"""Figures of tables that the archived run did not make yet."""


def test_all_figures_of_the_default_run_are_drawn_from_the_archive_and_nothing_is_computed(checkout):
    planned = Counter(checkout.planned("figures", "results/report.html", configfiles=FILES))
    assert set(planned) == {"retrieve", "restore_tables", "plot", "report"}
    assert planned["plot"] == Counter(checkout.planned("figures", configfiles=()))["plot"] - len(NEWER)


def test_the_archive_stays_small_and_holds_what_the_report_shows(checkout):
    bundle = Bundle(checkout.folder / "archive/default")
    assert bundle.place.stat().st_size < 10e6 and "tables" in bundle.stages
    assert {"results/provenance/manifest.json", "results/timings/pruning_timings.tsv"} <= set(bundle.members)
    assert bundle.data and all(receipt["licence"] for receipt in bundle.data)
