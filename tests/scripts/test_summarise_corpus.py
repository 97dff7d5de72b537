import summarise_corpus
from sparse_attention.files.tables import read_table


def test_documents_and_blocks_become_one_table(fabricate, tmp_path):
    documents, blocks = fabricate.corpus(tmp_path)
    output = tmp_path / "tables" / "corpus.tsv"
    given = {"documents": documents, "blocks": blocks}
    summarise_corpus.main(fabricate.job(input=given, output={"corpus": str(output)}))
    table = read_table(output)
    assert list(table["split"]) == ["train", "validation", "test"] and table["tokens"].iloc[0] == 4500 * 74
