"""The first page shows the first sentences of the sections."""

from sparse_attention.reporting.inputs import Inputs, Setting
from sparse_attention.reporting.overview import HEADLINES, headlines, section_findings


def test_headlines_are_the_first_sentences_of_sections_that_have_any(tables):
    inputs = Inputs(map(str, sorted(tables.glob("*.tsv"))), [])
    sentences = section_findings(inputs, {}, Setting(0, "none", 0.95))
    found = {headline.topic: headline for headline in headlines(sentences)}
    assert list(found) == ["Gold attention", "Predictors", "Computation", "Real time", "Language model",
                           "Predicted attention"]  # fmt: skip
    assert found["Predictors"].text == " ".join(sentences["predictors"][:2])
    assert found["Real time"].text == sentences["timings"][1] and found["Real time"].section == "timings"
    assert len(found) <= 10


def test_a_run_without_results_has_no_headlines():
    assert headlines(dict.fromkeys(HEADLINES, ())) == []
    (found,) = headlines(dict.fromkeys(HEADLINES, ()) | {"classifier": ["It is good.", "And more."]})
    assert found == ("Classifier of code", "It is good.", "pruning")
