from __future__ import annotations

import pytest

from archived_runs import RECEIPT, ROOT
from sparse_attention.archiving.crate import read_citation
from sparse_attention.archiving.metadata import metadata_of

CITATION = {
    "title": "the workflow",
    "authors": [{"name": "Someone"}],
    "keywords": ["entmax"],
    "license": "MIT",
    "version": "1.2.0",
    "references": [{"type": "article", "doi": "10.1234/paper"}, {"type": "article", "title": "without"}],
}


def receipt(**changed):
    return {**RECEIPT, **changed}


def test_metadata_follow_the_citation_file():
    found = metadata_of(CITATION, "what was run")
    assert found["title"] == "Results of the workflow" and found["upload_type"] == "dataset"
    assert found["creators"] == [{"name": "Someone"}] and found["license"] == "mit"
    assert found["description"].startswith("<p>what was run. ") and "licences" not in found["description"]
    assert "version" not in found and metadata_of(CITATION, "", version="1.1.0")["version"] == "1.1.0"


def test_the_licence_of_the_workflow_is_not_stated_for_works_of_others():
    assert metadata_of(CITATION, "", mixed=True)["license"] == "notspecified"


def test_licences_and_citations_of_data_reach_the_description():
    data = [receipt(licence="CC <BY> & more"), receipt(dataset="mine", licence=None, citation=None)]
    found = metadata_of(CITATION, "a < b", data)
    text = found["description"]
    assert "<li>wiki, version 1 (text); licence: CC &lt;BY&gt; &amp; more; citation: Someone</li>" in text
    assert "<li>mine, version 1 (text); licence: not stated; ask its authors before passing it on</li>" in text
    assert "a &lt; b" in text and found["references"] == ["Someone"]


def test_a_folder_of_the_runs_owner_has_no_authors_to_ask():
    mine = receipt(licence=None, citation=None, source={"type": "path", "path": "model"})
    assert "licence: not stated, because it came from a folder of the run's owner" in str(
        metadata_of(CITATION, "", [mine])
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"citation": "Liu et al. 2019. arXiv:1907.11692"}, ("arXiv:1907.11692", "cites")),
        ({"citation": "They (doi:10.5555/a.b-c_d)."}, ("10.5555/a.b-c_d", "cites")),
        ({"citation": "They. https://doi.org/10.5555/a.b."}, ("10.5555/a.b", "cites")),
        ({"source": {"type": "zenodo", "record": 7}}, ("10.5281/zenodo.7", "isDerivedFrom")),
        (
            {"source": {"type": "zenodo", "record": 7}, "citation": "10.5281/zenodo.7"},
            ("10.5281/zenodo.7", "isDerivedFrom"),
        ),
        ({"source": {"type": "zenodo", "record": 7, "server": "https://sandbox.zenodo.org"}}, None),
        ({"citation": "version 10.2 of 2016/05"}, None),
        ({"citation": None}, None),
    ],
    ids=["arxiv", "doi", "address", "record", "both", "sandbox", "none", "no_citation"],
)
def test_identifiers_in_citations_and_of_records_are_related(changed, expected):
    found = metadata_of(CITATION, "", [receipt(**changed)])["related_identifiers"]
    assert found[0] == {"identifier": "10.1234/paper", "relation": "cites", "resource_type": "publication-article"}
    assert [(one["identifier"], one["relation"]) for one in found[1:]] == ([expected] if expected else [])


def test_the_papers_of_the_workflow_are_related_with_their_kinds():
    found = metadata_of(read_citation(ROOT), "")["related_identifiers"]
    assert [one["resource_type"] for one in found] == ["publication-conferencepaper", "publication-article"]
