import json

import manifest


def test_config_data_and_tables_are_recorded(fabricate, tables, tmp_path):
    output = tmp_path / "manifest.json"
    given = {"receipts": [fabricate.receipt(tmp_path)], "tables": sorted(map(str, tables.glob("*.tsv")))}
    params = {"config": {"seeds": [3], "corpus": "wiki"}}
    manifest.main(fabricate.job(input=given, output={"manifest": str(output)}, params=params))
    made = json.loads(output.read_text())
    assert made["seeds"] == [3] and made["config"]["corpus"] == "wiki"
    assert [item["path"] for item in made["tables"]] == [path.name for path in sorted(tables.glob("*.tsv"))]
    assert all(len(item["sha256"]) == 64 for item in [*made["tables"], *made["data"]])


def test_nothing_but_the_configuration_is_needed(fabricate, tmp_path):
    output = tmp_path / "manifest.json"
    manifest.main(fabricate.job(output={"manifest": str(output)}, params={"config": {"seeds": [1]}}))
    assert json.loads(output.read_text())["data"] == []
