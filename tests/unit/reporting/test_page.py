"""The report: one file that needs nothing else, many predictors, any part missing."""

import base64
import gzip
import hashlib
import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from drawing import draw
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.plotting import registry as plots
from sparse_attention.plotting import style
from sparse_attention.plotting.registry import SECTIONS
from sparse_attention.reporting import page
from sparse_attention.reporting.inputs import Inputs, Setting, marked_up
from sparse_attention.summaries import registry as published

REPORT = Path(__file__).parents[3] / "workflow" / "report"
TEMPLATE = str(REPORT / "report.html.j2")
CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}
SETTING = Setting(0, "none", 0.95)
DRAWN = CONTEXT | {"window": 0, "keep": "none", "heatmap.sparsity": 0.95}
OPTIONAL = ("areas", "best_by_head", "best_by_layer", "buckets", "common_buckets", "offsets")
OPTIONAL += ("predictors", "gold_sparsity", "predictors_at_sparsity", "corpus", "masked_lm")


class Page(html.parser.HTMLParser):
    """Collects what a page links to and checks that its tags are balanced."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.open, self.tags = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open
        assert len(self.ids) == len(set(self.ids))
        for link in self.links:
            assert link.startswith(("data:image/svg+xml;base64,", "pruning/")) or link[1:] in self.ids

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.links += [values[name] for name in ("src", "href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        assert tag != "img" or values["alt"]
        assert tag != "th" or values["scope"] in ("col", "row", "colgroup")
        assert not [name for name in values if name.startswith("on")]
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def figures(tables, tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "pareto_recall.svg"
    points = read_table(tables / "predictors.tsv")
    style.save(draw("pareto_recall", DRAWN, predictors=points), [str(path)])
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


def render(tables, figures, made=None, pages=()):
    inputs = Inputs(map(str, tables), figures)
    return page.render(TEMPLATE, inputs, made or manifest(), CONTEXT, SETTING, pages)


def test_the_page_needs_nothing_else_and_its_links_lead_somewhere(tables, figures):
    text = render(sorted(tables.glob("*.tsv")), figures)
    parsed = Page(text)
    assert not re.search(r"@import|url\(|src=.http|<link", text) and len(text) < 10e6
    assert "A &lt;b&gt;" in text and "with local changes" in text and "150 steps of 8 blocks" in text
    sections = "corpus models gold predictors computation sparse_mlm heads distances buckets terms data provenance"
    assert set(sections.split()) <= set(parsed.ids) and "deviations" not in parsed.ids


def test_equal_inputs_give_equal_pages(tables, figures):
    paths = sorted(tables.glob("*.tsv"))
    assert render(paths, figures) == render(paths, figures)


@pytest.fixture(scope="module")
def run_of_many(frames, tmp_path_factory):
    """Tables and figures of all predictors."""
    folder = tmp_path_factory.mktemp("many")
    tables = {
        "predictors": frames.predictors(windows=(0, 11)),
        "areas": frames.areas(),
        "predictors_at_sparsity": frames.at_sparsity(),
        "best_by_head": frames.best_by_head(),
        "offsets": frames.offsets(),
        "buckets": frames.buckets(),
        "common_buckets": frames.common_buckets(),
        "deviations": frames.deviations(),
    }
    for name, table in tables.items():
        write_table(table, folder / f"{name}.tsv")
    for name in (
        "pareto_recall",
        "pareto_areas",
        "heatmap_best",
        "edge_distances",
        "bucket_entropy",
        "bucket_distances",
    ):
        needed = {table: tables[table] for table in plots.discover()[name].needs}
        style.save(draw(name, DRAWN, **needed), [str(folder / f"{name}.svg")])
    return sorted(folder.glob("*.tsv")), sorted(map(str, folder.glob("*.svg")))


def test_many_predictors_have_every_section_with_its_figures_and_words(run_of_many, frames):
    text = render(*run_of_many)
    parsed = Page(text)
    for section, figure, words in (
        ("predictors", "pareto_areas", "Which predictor is best over all sparsities?"),
        ("heads", "heatmap_best", "Is one predictor best everywhere?"),
        ("distances", "edge_distances", "Are pairs kept at the right distances?"),
        ("buckets", "bucket_entropy", "Do buckets separate gold pairs from others?"),
        ("computation", None, "Which predictor saves most?"),
        ("deviations", None, "Do these properties matter?"),
    ):
        part = text[text.index(f'<section id="{section}">') :]
        part = part[: part.index("</section>")]
        assert words in part and (figure is None or f'<figure id="{figure}">' in part)
        assert f'href="#{section}"' in text
    assert {"table-areas", "table-best_by_head", "table-deviations"} <= set(parsed.ids)
    assert all(f">{frames.PREDICTORS[name][0]}<" in text for name in frames.ALL)


def test_the_table_of_points_shows_the_setting_of_the_figures(run_of_many):
    found = re.search(r"Every point, no window \((\d+) rows\)", render(*run_of_many))
    points = read_table(next(path for path in run_of_many[0] if path.stem == "predictors"))
    assert int(found[1]) == (points["window"] == 0).sum() < len(points)


def test_latex_files_are_named_where_they_exist(run_of_many):
    text = render(*run_of_many)
    assert text.count("tables/areas.tsv, .tex") == 2 and text.count("tables/offsets.tsv, .tex") == 1
    assert "masked_lm" not in text and "tables/predictors.tsv, .tex" not in text


@pytest.mark.parametrize("kept", ["", *OPTIONAL])
def test_any_part_may_be_missing(kept, tables):
    paths = [tables / f"{kept}.tsv"] if kept else []
    made = manifest(data=[], config={}, code={"commit": None, "dirty": None}, packages={})
    text = render(paths, [], made)
    Page(text)
    assert ("No language model was trained" in text) == (kept != "masked_lm")


@pytest.mark.parametrize("missing", OPTIONAL)
def test_any_part_may_be_the_only_one_missing(missing, tables, figures):
    Page(render([path for path in sorted(tables.glob("*.tsv")) if path.stem != missing], figures))


def test_without_quantizers_there_is_no_section_on_buckets(tables, figures):
    without = [path for path in sorted(tables.glob("*.tsv")) if path.stem not in ("buckets", "common_buckets")]
    assert "buckets" not in Page(render(without, figures)).ids


def test_a_given_query_key_dump_has_neither_corpus_nor_model(tables, figures):
    names = ("gold_sparsity", "predictors", "predictors_at_sparsity", "pareto", "areas", "offsets", "best_by_head")
    parsed = Page(render([tables / f"{name}.tsv" for name in names], figures))
    assert "gold" in parsed.ids and not {"corpus", "models", "projections"} & set(parsed.ids)


@pytest.fixture(scope="module")
def of_code(tmp_path_factory):
    """Tables of a run that prunes a classifier."""
    folder = tmp_path_factory.mktemp("code")
    name = {"pruning": "mode~topk_final~0.3", "way": "dropped"}
    sizes = {"functions": 120, "positive": 30, "roc_auc": 0.9, "f1": 0.75, "kept_share": 0.5, "relative_flops": 0.4}
    tables = {
        "pruning": [{**name, "system": system, **sizes} for system in ("dense", "hard")],
        "pruning_gains": [
            {**name, "system": "hard", "metric": "f1", "gain": 0.01, "gain_low": -0.02, "gain_high": 0.03}
        ],
        "code": [{"code": "pypi-bandit", "split": "test", "functions": 1200, "lines_q25": 12.75}],
        "code_tokens": [{"split": "test", "label": 1, "functions": 60, "truncated": 0.25, "q25": 124.25}],
    }
    for stem, rows in tables.items():
        write_table(pd.DataFrame(rows), folder / f"{stem}.tsv")
    return sorted(folder.glob("*.tsv"))


def test_pruning_is_summarised_at_the_top_and_its_pages_are_linked(of_code, tables):
    link = "pruning/pypi-bandit/minilm/seed~{}/mode~topk_final~0.3/tokens.html"
    alone = render(of_code, [], pages=[link.format(1)])
    assert Page(alone).links.count(link.format(1)) == 1 and "<h1>Pruning tokens</h1>" in alone
    assert "No language model" not in alone and "<dd>1,200</dd>" in alone
    glance = alone[alone.index('id="summary"') : alone.index('id="code"')]
    assert "Layers keep 50" in glance and "difference +1.0 points" in glance
    both = render([*of_code, tables / "predictors.tsv"], [], pages=[link.format(1), link.format(2)])
    assert "<h1>Predicting attention and pruning tokens</h1>" in both
    assert f'<a href="{link.format(2)}">topk, final 0.3, seed 2</a>' in both and len(Page(both).links) > 2


@pytest.mark.parametrize("exported", [True, False], ids=["exported", "not exported"])
@pytest.mark.parametrize("seeds", [(1,), (1, 2)], ids=["one page", "two pages"])
def test_pages_lie_beside_the_report_and_pruned_data_only_where_they_are_written(seeds, exported, of_code):
    pages = [f"pruning/pypi-bandit/minilm/seed~{seed}/mode~topk_final~0.3/tokens.html" for seed in seeds]
    made = manifest()
    made["config"] |= {"export_pruned": {"retrain": False} if exported else None}
    text = render(of_code, [], made, pages)
    own = text[text.index('id="pruning"') : text.index('id="terms"')]
    assert "beside this report" in own and "which a copy of this page does not hold" in own
    assert ("<code>export/</code>" in text) == exported


def test_the_sections_on_code_say_what_was_done(of_code):
    split = {"prepare_code": {"near_duplicates": None, "overlap": "keep", "negatives": None}}
    mine = {"code": "mine", "code_corpora": {"mine": {"format": "table", "files": {"train": "<b>", "test": "t"}}}}
    text = render(of_code, [], manifest(config={**split, **mine, "train_classifier": {"source": "<i>"}}))
    own = text[text.index('id="code"') : text.index('id="terms"')]
    assert "so test may hold functions" in own and "those of the data set, with" in own and "not chosen by" in own
    assert "supplied by the user" in own and "Top-k: " in own and "Learned thresholds" not in own
    assert "evaluation only, here." in own and "<b>" not in text and "<i>" not in text


def test_the_label_of_a_function_is_no_predictor(of_code):
    text = render(of_code, [])
    own = text[text.index('id="table-code_tokens"') : text.index('id="pruning"')]
    assert ">label<" in own and "predictor" not in own and ">124<" in own and ">0.250<" in own
    assert ">13<" in text[text.index('id="table-code"') : text.index('id="table-code_tokens"')]


def test_captions_of_figures_and_tables_are_valid_in_html_and_rst(tables):
    assert {path.stem for path in tables.glob("*.tsv")} <= set(published.discover())
    for info in (*published.discover().values(), *plots.discover().values()):
        assert info.caption.strip() and "{" not in info.caption and "*" not in info.caption


@pytest.mark.parametrize("section", SECTIONS)
def test_a_figure_of_any_section_is_shown_there_with_title_and_caption(section, tables, tmp_path, monkeypatch):
    info = replace(
        plots.discover()["heatmap_gold"], name="mine", section=section, title="Mine & more", caption="As ``x`` is."
    )
    monkeypatch.setattr(plots, "discover", lambda: {"mine": info})
    path = tmp_path / "mine.svg"
    path.write_text('<svg width="100pt"/>')
    text = render([], [str(path)])
    Page(text)
    assert text.count('<figure id="mine">') == 1 and "Mine &amp; more. As x is." in text
    assert "<figcaption>As <code>x</code> is. <" in text and "width: 10.0rem" in text


def test_captions_turn_literals_into_code():
    assert str(marked_up("a ``b<c`` & d")) == "a <code>b&lt;c</code> &amp; d"


def test_the_manifest_may_hold_the_whole_configuration():
    made = manifest(config={"text": "</pre><script>"})
    assert "</pre><script>" not in render([], [], json.loads(json.dumps(made)))


HOSTILE = "</script></td><img src=x onerror=alert(1)>&\"'<b>"


def test_text_from_data_adds_no_markup(tables, figures, tmp_path):
    for path in tables.glob("*.tsv"):
        frame = read_table(path)
        for column in ("label", "split", "stage"):
            if column in frame:
                frame[column] = frame[column].replace({frame[column].iloc[0]: HOSTILE})
        if path.stem == "sparse_mlm":  # its first row is full attention, which is no point
            frame[["label", "setting"]] = HOSTILE
        write_table(frame, tmp_path / path.name)
    (tmp_path / "sparse_mlm_increase.svg").write_text("<svg/>")
    item = {"dataset": HOSTILE, "kind": HOSTILE, "version": HOSTILE, "citation": HOSTILE, "licence": HOSTILE}
    made = manifest(config={HOSTILE: HOSTILE}, data=[item | {"files": [{"path": HOSTILE, "sha256": HOSTILE}]}])
    inputs = Inputs(map(str, sorted(tmp_path.glob("*.tsv"))), [*figures, str(tmp_path / "sparse_mlm_increase.svg")])
    context = {"corpus": HOSTILE, "model": HOSTILE}
    text = page.render(TEMPLATE, inputs, made, context, SETTING, [f"pruning/seed~1/{HOSTILE}/tokens.html"])
    parsed = Page(text.replace("&lt;/script&gt;&lt;/td&gt;&lt;img", "found"))
    assert text.count("&lt;/script&gt;&lt;/td&gt;&lt;img") > 12 and HOSTILE not in text
    assert parsed.tags.count("script") == 4 and parsed.tags.count("img") == 2
    points = json.loads(re.search(r'id="points">(.*?)</script>', text, re.S)[1])
    assert HOSTILE in points["curves"]["sparse_mlm"][0]["name"]


def policy_of(text):
    return html.unescape(re.search(r'Security-Policy" content="(.*?)"', text)[1])


def test_only_the_page_s_own_scripts_and_the_plotting_library_may_run(tables, figures):
    text = render(sorted(tables.glob("*.tsv")), figures)
    packed = re.search(r'id="library">(.*?)</script>', text, re.S)[1]
    library = gzip.decompress(base64.b64decode(packed, validate=True)).decode()
    assert library == get_plotlyjs()
    scripts = [*re.findall(r"<script>(.*?)</script>", text, re.S), library]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    expected = f"{nothing}; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    assert len(scripts) == 3 and policy_of(text) == expected


def test_a_page_without_points_does_without_the_plotting_library(of_code):
    text = render(of_code, [])
    assert 'id="library"' not in text and policy_of(text).count("sha256-") == 1 and len(text) < 1e5


def test_every_table_has_a_caption_a_name_to_download_it_by_and_headers_of_rows(tables, figures):
    text = render(sorted(tables.glob("*.tsv")), figures)
    parts = re.findall(r"<table.*?</table>", text, re.S)
    assert len(parts) > 10
    for part in parts:
        assert re.match(r'<table data-name="[\w+]+">\s*<caption>[^<]+</caption>', part)
        assert part.count('<th scope="row"') == part.split("<tbody>")[1].count("<tr>")


def test_cautions_stand_on_the_first_page_and_beside_the_numbers(tables, of_code, tmp_path):
    frame = read_table(tables / "masked_lm.tsv")
    frame["nats_below_unigram"] = -1.0
    write_table(frame, tmp_path / "masked_lm.tsv")
    text = render([tmp_path / "masked_lm.tsv", tables / "gold_sparsity.tsv", *of_code], [])
    glance, rest = text[text.index('id="summary"') : text.index('id="models"')], text[text.index('id="models"') :]
    sentence = "is not below the unigram loss"
    # two models, in the sections on models and on gold attention
    assert glance.count(sentence) == 2 and rest.count(sentence) == 4 and "Only one seed" in glance
    assert "Only one seed" not in rest


def test_no_caution_where_all_is_well(of_code):
    text = render(of_code, [], manifest(seeds=[1, 2]))
    assert 'class="caution"' not in text


def test_texts_speak_of_what_was_run(tables, of_code, tmp_path):
    assert "at the same budget" in render([tables / "masked_lm.tsv"], [])
    frame = read_table(tables / "masked_lm.tsv")
    write_table(frame[frame["attention"] != "softmax"], tmp_path / "masked_lm.tsv")
    alone = render([tmp_path / "masked_lm.tsv"], [])
    assert "softmax" not in alone and "at the same budget" not in alone
    only = render(of_code, [])
    assert "softmax" not in only and "Oracle" not in only and "<dt>Dense, hard</dt>" in only
