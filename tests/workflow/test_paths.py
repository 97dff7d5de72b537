"""Paths of users as the workflow takes them, and sources that change behind Snakemake's own records."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = "tiny/tiny/entmax~1.5/seed~1"
ODD = 'run{1} {seed}{{corpus}} [x]* ? o\'a "b" #$%&; ünï 日本\n'
TINY = "tests/config/tiny.yaml"


def overlay(checkout, content):
    """Write a configuration to lay over the tiny one; return both."""
    return TINY, checkout.write("mine.yaml", json.dumps(content))


def snakemake(checkout, *arguments, content=None):
    run = checkout.snakemake(*arguments, configfiles=overlay(checkout, content or {}))
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def planned(checkout, *arguments, content=None):
    return set(checkout.planned(*arguments, configfiles=overlay(checkout, content or {})))


def forget(checkout):
    """Remove what Snakemake remembers of past jobs, as a copy of the results alone has it."""
    shutil.rmtree(checkout.folder / ".snakemake")


def in_two_folders(checkout, name, source):
    """Copy files or a folder of the checkout to two places under the same name; return both, relative."""
    places = []
    for place in ("one", "two"):
        target = checkout.folder / place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # as old as the first, so that no time tells them apart
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
        places.append(f"{place}/{name}")
    return places


def test_a_path_is_taken_whatever_it_holds_and_followed(checkout):
    folder = Path("-n", "~x", ODD)
    (checkout.folder / folder).mkdir(parents=True)
    text = folder / f"{ODD}.xml.bz2"
    shutil.move(checkout.folder / "resources/tiny/wiki.xml.bz2", checkout.folder / text)
    content = {"corpora": {"tiny": {"path": str(text)}}}
    target = "results/data/tiny/statistics.tsv"
    assert "Traceback" not in snakemake(checkout, target, content=content)
    assert planned(checkout, target, content=content) == set()
    os.utime(checkout.folder / text)
    assert planned(checkout, target, content=content) == {"retrieve", "prepare"}


@pytest.mark.parametrize("name", ["my {project} 1", "closing}"])
def test_a_project_folder_with_braces_is_refused_in_one_line(checkout, name):
    (checkout.folder.parent / name).mkdir()
    checkout.folder.rename(checkout.folder.parent / name / "checkout")
    run = type(checkout)(checkout.folder.parent / name / "checkout").snakemake("--dry-run")
    assert run.returncode == 1
    output = run.stdout + run.stderr
    assert f"{name}/checkout: the name has braces, which Snakemake takes for wildcards; rename" in output
    assert "Traceback" not in output


def test_a_project_folder_may_have_any_other_name(checkout):
    moved = checkout.folder.parent / 'o\'a "b" #$%&;*?[x] ünï'
    checkout.folder.rename(moved)
    snakemake(type(checkout)(moved), "results/data/tiny/tiny/blocks.safetensors")


def test_a_project_folder_that_is_not_utf8_is_refused_in_one_line(checkout):
    moved = checkout.folder.parent / os.fsdecode(b"caf\xe9")
    checkout.folder.rename(moved)
    run = subprocess.run([sys.executable, "-m", "snakemake", "--dry-run"], cwd=moved, capture_output=True, check=False)
    assert run.returncode == 1
    assert b"caf\\udce9: the name is not UTF-8, which Snakemake cannot use; rename the folder\n" in run.stderr
    assert b"Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize("name", ["a{b}", "../x", "a b", "ünï"])
def test_a_name_that_cannot_be_a_folder_is_refused_before_any_job(checkout, name):
    content = {"corpus": name, "corpora": {name: {"path": "resources/tiny/wiki.xml.bz2", "format": "mediawiki"}}}
    run = checkout.snakemake("--dry-run", configfiles=overlay(checkout, content))
    output = run.stdout + run.stderr
    assert run.returncode == 1 and "Traceback" not in output
    assert "a name of at most 100 letters, digits, dots and hyphens" in output


def test_a_name_that_changes_its_data_set_and_changes_it_back_is_noticed_without_records(checkout):
    text = checkout.folder / "resources/tiny/wiki.xml.bz2"
    place = checkout.folder / "resources/published/1" / text.name
    place.parent.mkdir(parents=True)
    shutil.copy2(text, place)
    published = {
        "kind": "text",
        "version": "1",
        "source": {"type": "url", "url": "https://example.org"},
        "files": [{"path": text.name, "sha256": hashlib.sha256(text.read_bytes()).hexdigest()}],
    }
    own = {"corpora": {"mine": {"path": "resources/tiny/wiki.xml.bz2", "format": "mediawiki"}}}
    theirs = {
        "corpora": {"mine": {"dataset": "published", "format": "mediawiki"}},
        "datasets": {"published": published},
    }
    target = "results/data/mine/statistics.tsv"
    for content in (theirs, own):
        snakemake(checkout, target, content=content | {"corpus": "mine"})
    forget(checkout)
    assert planned(checkout, target, content=own | {"corpus": "mine"}) == set()
    assert planned(checkout, target, content=theirs | {"corpus": "mine"}) == {"retrieve", "prepare"}


def test_without_records_nothing_changed_means_nothing_to_do(copy_of_finished):
    forget(copy_of_finished)
    assert planned(copy_of_finished) == set()


@pytest.mark.parametrize(
    ("section", "file", "again", "kept"),
    [
        ("corpora", "wiki.xml.bz2", {"retrieve", "prepare", "tokenise", "train_mlm", "report"}, {"prepare_code"}),
        ("models", "model", {"retrieve", "tokenise", "train_mlm", "train_classifier"}, {"prepare", "prepare_code"}),
        ("code_corpora", "functions.csv", {"retrieve", "prepare_code", "train_classifier"}, {"prepare", "train_mlm"}),
    ],
    ids=["text", "model", "code"],
)
def test_another_source_under_the_same_name_is_noticed_without_records(copy_of_finished, section, file, again, kept):
    forget(copy_of_finished)
    place = in_two_folders(copy_of_finished, file, copy_of_finished.folder / "resources/tiny" / file)[0]
    jobs = planned(copy_of_finished, content={section: {"tiny": {"path": place}}})
    assert again <= jobs and not kept & jobs


def test_other_files_in_the_same_place_are_noticed_without_records(copy_of_finished):
    forget(copy_of_finished)
    text = copy_of_finished.folder / "resources/tiny/wiki.xml.bz2"
    times = text.stat()
    text.write_bytes(text.read_bytes() * 2)
    os.utime(text, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert {"retrieve", "prepare", "train_mlm"} <= planned(copy_of_finished)


@pytest.fixture(scope="module")
def imported(finished, tmp_path_factory):
    """Return a checkout that has imported a dump, projections and centroids, and the configuration of that."""
    checkout = finished.copy(tmp_path_factory.mktemp("imported") / "checkout")
    results = checkout.folder / "results"
    (projections,) = results.glob(f"projections/{RUN}/*/projections.pt")
    (centroids,) = results.glob(f"centroids/{RUN}/*/*/centroids.pt")
    dumps = {split: in_two_folders(checkout, split, results / "qk" / RUN / split) for split in ("train", "validation")}
    files = {file.name: in_two_folders(checkout, file.name, file) for file in (projections, centroids)}
    content = {
        "corpus": "mine",
        "code": None,
        "deviations": None,
        "extract_qk": {"source": {split: places[0] for split, places in dumps.items()}},
        "fit_projections": {"source": files["projections.pt"][0]},
        "fit_clusters": {"source": files["centroids.pt"][0]},
    }
    snakemake(checkout, *IMPORTS, content=content)
    return checkout, content


@pytest.fixture
def importing(imported, tmp_path):
    """Return a copy of it that a test may edit."""
    checkout, content = imported
    return checkout.copy(tmp_path / "copy"), content


IMPORTS = ("--until", "import_clusters")
FITS = ("--until", "fit_clusters")


def test_imports_are_noticed_without_records(importing):
    checkout, content = importing
    forget(checkout)
    assert planned(checkout, *IMPORTS, content=content) == set()
    for section, source, again in (
        ("extract_qk", {"train": "two/train", "validation": "one/validation"}, {"import_qk", "import_projections"}),
        ("fit_projections", "two/projections.pt", {"import_projections"}),
        ("fit_clusters", "two/centroids.pt", set()),
    ):
        jobs = planned(checkout, *IMPORTS, content=content | {section: {"source": source}})
        assert jobs == {"retrieve", "import_clusters"} | again


def test_fitting_and_importing_replace_each_other_without_records(importing):
    checkout, content = importing
    own = content | {"fit_projections": {"source": None}, "fit_clusters": {"source": None}}
    assert planned(checkout, *FITS, content=own) >= {"fit_projections", "fit_clusters"}
    snakemake(checkout, *FITS, content=own)
    forget(checkout)
    assert planned(checkout, *IMPORTS, content=content) == {"import_projections", "import_clusters"}
    snakemake(checkout, *IMPORTS, content=content)
    forget(checkout)
    assert planned(checkout, *FITS, content=own) == {"fit_projections", "fit_clusters"}


def test_with_a_language_model_imports_need_no_queries_and_keys(copy_of_finished):
    results, content = copy_of_finished.folder / "results", {}
    for section, pattern in (("fit_projections", "projections/{}/*/projections.pt"),
                             ("fit_clusters", "centroids/{}/*/*/centroids.pt")):  # fmt: skip
        (file,) = results.glob(pattern.format(RUN))
        content[section] = {"source": in_two_folders(copy_of_finished, file.name, file)[0]}
    for stage in ("qk", "gold"):
        shutil.rmtree(results / stage)
    forget(copy_of_finished)
    assert planned(copy_of_finished, *IMPORTS, content=content) == {"retrieve", "import_projections", "import_clusters"}
    snakemake(copy_of_finished, *IMPORTS, content=content)
    other = content | {"extract_qk": {"examples": {"train": 3, "validation": 2}}}
    assert planned(copy_of_finished, *IMPORTS, content=other) == set()


@pytest.mark.parametrize(
    ("home", "guarded"), [("/dev/null/x", True), ("/proc/nonexistent", False)], ids=["tools/run.py", "snakemake"]
)
def test_a_home_that_cannot_be_written_is_none_of_our_business(checkout, home, guarded):
    start = ["tools/run.py"] if guarded else ["-m", "snakemake"]
    command = [sys.executable, *start, "--cores", "1", "results/data/tiny/statistics.tsv", "--configfile", TINY]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL", "HF_"))}
    environment = kept | {"HOME": home}
    run = subprocess.run(command, cwd=checkout.folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
