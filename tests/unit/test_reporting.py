"""The report: sentences that fit the tables, one file that needs nothing else, any part missing."""

import html.parser
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from sparse_attention.plotting import pareto, style
from sparse_attention.reporting import content, findings, page
from sparse_attention.tables import read_table

REPORT = Path(__file__).parents[2] / "workflow" / "report"
TEMPLATE = str(REPORT / "report.html.j2")
CAPTIONS = sorted(map(str, REPORT.glob("*.rst")))
NBSP = "\N{NO-BREAK SPACE}"


def fixed(**changes):
    """A compact table of four predictors at two sparsities."""
    rows = [
        {"predictor": name, "label": name.upper(), "family": family, "bound": bound, "projection": "kind~none"}
        | {"attention": "entmax~1.5", "keep": "none", "windows": windows, "at_sparsity": at, "seeds": 1}
        | {f"{metric}{end}": value for metric in pareto.NAMES for end, value in (("", recall), ("_ci95", None))}
        for name, family, bound, recall in [
            ("cos", "distance", None, 0.45),
            ("window", "window", None, 0.25),
            ("oracle", "bounds", "upper", 0.85),
            ("random", "bounds", "lower", 0.05),
        ]
        for windows in ("0", "all")
        for at in (0.9, 0.95)
    ]
    return pd.DataFrame(rows).astype({"recall_ci95": float}).assign(**changes)


@pytest.mark.parametrize(
    "share, half, text", [(0.48, None, "48 %"), (0.976, None, "97.6 %"), (0.48, 0.021, "48.0 ± 2.1 %")]
)
def test_shares_are_written_for_readers(share, half, text):
    assert findings.percent(share, float("nan") if half is None else half).replace(NBSP, " ") == text


def test_the_best_predictor_is_told_with_its_distance_to_the_bounds():
    said = " ".join(findings.predictors(fixed(), "0", "none")).replace(NBSP, " ")
    assert "At 95 % sparsity COS predicts entmax 1.5 support best: it recalls 45 % of the gold pairs" in said
    assert (
        "the oracle recalls 85 % and random pairs 5.0 %, so it covers 50 % of the way from chance to the oracle" in said
    )
    assert "Next is WINDOW, which ignores content, with 25 %" in said


def test_another_sparsity_is_taken_when_no_predictor_reaches_the_first():
    table = fixed()
    table.loc[(table["at_sparsity"] == 0.95) & table["bound"].isna(), list(pareto.NAMES)] = float("nan")
    assert findings.predictors(table, "0", "none")[0].startswith(f"At 90{NBSP}% sparsity")
    table[list(pareto.NAMES)] = float("nan")
    assert "No predictor reaches" in findings.predictors(table, "0", "none")[0]


def test_without_bounds_or_rivals_nothing_is_said_of_them():
    alone = fixed().query("predictor == 'cos'")
    assert len(findings.predictors(alone, "0", "none")) == 1


def test_a_window_that_helps_is_told():
    table = fixed()
    told = findings.with_more_kept(table, "0", "none")
    assert told == ["No window makes the best predictor better at this sparsity."]
    table.loc[(table["windows"] == "all") & (table["predictor"] == "window"), "recall"] = 0.5
    assert "WINDOW is best with 50" in findings.with_more_kept(table, "0", "none")[0]


def test_tokens_kept_as_well_are_told():
    table = fixed()
    more = table.assign(keep="cls+last", recall=table["recall"] / 2)
    told = findings.with_more_kept(pd.concat([more, table]), "0", "none")
    assert len(told) == 2
    assert told[1].startswith("With the window chosen freely and the first and last token kept, ")
    assert told[1].endswith(" points less.")


def test_language_models_are_compared_with_softmax(tables):
    quality = read_table(tables / "masked_lm.tsv")
    said = findings.language_models(quality, trained=True)
    assert "With entmax 1.5 attention the model ends at" in said[0] and "nats below the unigram loss of 7.30" in said[0]
    assert said[-1].endswith("softmax at the same budget.")
    assert len(findings.language_models(quality[quality["attention"] != "softmax"], trained=False)) == 1


def test_the_best_of_each_column_stands_out_and_bounds_never_do():
    table = content.at_sparsity("x", fixed(), "", "0", "none")
    best = {row[0].text for row in table.rows if any(cell.best for cell in row)}
    assert best == {"COS"} and table.groups == [("", 1), ("recall", 2), ("mass recall", 2), ("exactness", 2)]
    assert all(len(row) == len(table.headers) == 7 for row in table.rows)


def test_intervals_join_their_column(tables_of_seeds):
    table = content.plain("masked_lm", read_table(tables_of_seeds / "masked_lm.tsv"), "")
    assert "loss" in table.headers and not any("ci95" in header for header in table.headers)
    assert "±" in table.rows[1][table.headers.index("loss")].text


class Page(html.parser.HTMLParser):
    """Collects what a page links to and checks that its tags are balanced."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.open = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.links += [values[name] for name in ("src", "href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        assert tag != "img" or values["alt"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def figures(tables, fabricate, tmp_path_factory):
    points, fronts = read_table(tables / "predictors.tsv"), read_table(tables / "pareto.tsv").astype({"windows": str})
    path = tmp_path_factory.mktemp("figures") / "pareto_recall.svg"
    style.save(pareto.tradeoff(points, fronts, "recall", 0, "none", fabricate.CONTEXT), [str(path)])
    return [str(path)]


def manifest(**changes):
    file = {"path": "wiki.xml", "sha256": "ab" * 32}
    data = {"dataset": "wiki", "kind": "text", "version": "1", "citation": "A <b>", "licence": None, "files": [file]}
    training = {"source": None, "steps": 150, "batch_size": 8, "accumulation": 1}
    return {
        "code": {"commit": "c" * 40, "dirty": True},
        "python": "3.11.7",
        "packages": {"numpy": "2.4.6"},
        "hardware": {"system": "Linux", "processor": "CPU", "cores": 2, "memory_gib": 8.0, "gpus": []},
        "seeds": [1],
        "config": {"blocks": {"length": 256}, "train_mlm": training},
        "data": [data],
        "tables": [],
    } | changes


def render(tables, figures, fabricate, made=None):
    inputs = page.Inputs(map(str, tables), figures, CAPTIONS)
    return page.render(TEMPLATE, inputs, made or manifest(), fabricate.CONTEXT, 0, "none")


def test_the_page_needs_nothing_else_and_its_links_lead_somewhere(tables, figures, fabricate):
    text = render(sorted(tables.glob("*.tsv")), figures, fabricate)
    parsed = Page(text)
    assert len(parsed.ids) == len(set(parsed.ids))
    for link in parsed.links:
        assert link.startswith("data:image/svg+xml;base64,") or link[1:] in parsed.ids
    assert not re.search(r"@import|url\(", text)
    assert "A &lt;b&gt;" in text and "with local changes" in text and "150 steps of 8 blocks" in text
    for section in ("corpus", "models", "gold", "predictors", "terms", "data", "provenance"):
        assert section in parsed.ids


def test_equal_inputs_give_equal_pages(tables, figures, fabricate):
    paths = sorted(tables.glob("*.tsv"))
    assert render(paths, figures, fabricate) == render(paths, figures, fabricate)


@pytest.mark.parametrize("kept", ["", "predictors", "gold_sparsity", "predictors_at_sparsity", "corpus", "masked_lm"])
def test_any_part_may_be_missing(kept, tables, fabricate):
    paths = [tables / f"{kept}.tsv"] if kept else []
    made = manifest(data=[], config={}, code={"commit": None, "dirty": None}, packages={})
    text = render(paths, [], fabricate, made)
    parsed = Page(text)
    assert all(link[1:] in parsed.ids for link in parsed.links)
    assert ("No language model was trained" in text) == (kept != "masked_lm")


def test_a_given_query_key_dump_has_neither_corpus_nor_model(tables, figures, fabricate):
    names = ("gold_sparsity", "predictors", "predictors_at_sparsity", "pareto")
    parsed = Page(render([tables / f"{name}.tsv" for name in names], figures, fabricate))
    assert "gold" in parsed.ids and not {"corpus", "models", "projections"} & set(parsed.ids)


def test_every_figure_and_table_has_a_caption_that_html_and_rst_both_take(tables):
    names = {Path(path).stem for path in CAPTIONS}
    assert set(page.FIGURES) <= names and {path.stem for path in tables.glob("*.tsv")} <= names
    for path in CAPTIONS:
        text = Path(path).read_text()
        assert text.strip() and "{" not in text and "*" not in text


def test_captions_turn_literals_into_code():
    assert str(page.marked_up("a ``b<c`` & d")) == "a <code>b&lt;c</code> &amp; d"


def test_the_manifest_may_hold_the_whole_configuration(tables, fabricate):
    made = manifest(config={"text": "</pre><script>"})
    assert "</pre><script>" not in render([], [], fabricate, json.loads(json.dumps(made)))
