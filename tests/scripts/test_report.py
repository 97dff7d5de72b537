from pathlib import Path

import manifest
import plot
import report

FOLDER = Path(__file__).parents[2] / "workflow" / "report"


def test_the_report_holds_tables_figures_and_provenance(fabricate, tables, tmp_path):
    context = {"context": fabricate.CONTEXT}
    figure, made, output = (str(tmp_path / name) for name in ("training_curves.svg", "manifest.json", "report.html"))
    given = {name: str(tables / f"{name}.tsv") for name in ("training", "masked_lm")}
    wildcards, params = {"figure": "training_curves"}, {"setting": fabricate.CONTEXT}
    plot.main(fabricate.job(input=given, output={"figure": [figure]}, params=params, wildcards=wildcards))
    receipts = {"receipts": [fabricate.receipt(tmp_path)]}
    params = {"config": {"seeds": [1]}}
    manifest.main(fabricate.job(input=receipts, output={"manifest": made}, params=params))
    given = {
        "template": str(FOLDER / "report.html.j2"),
        "captions": sorted(map(str, FOLDER.glob("*.rst"))),
        "tables": sorted(map(str, tables.glob("*.tsv"))),
        "figures": [figure],
        "pages": [str(tmp_path / "pruning/seed~1/mode~topk/tokens.html")],
        "manifest": made,
    }
    params = context | {"window": 0, "keep": "none", "sparsity": 0.95}
    report.main(fabricate.job(input=given, output={"report": output}, params=params))
    text = Path(output).read_text()
    assert "Wikipedia contributors &lt;2016&gt;" in text and "CC-BY-SA-3.0" in text
    assert "tables/areas.tsv, .tex" in text
    assert "data:image/svg+xml;base64," in text and "Cosine distance" in text
    assert "Predicting Attention Sparsity in Transformers" in text and "(Cosine distance and K-means clusters)" in text
    assert "<dt>Mass recall</dt><dd>The share of gold attention probability on predicted pairs" in text
    assert "/home/" not in text and str(tmp_path) not in text
