from sparse_attention.files.tables import read_table


def test_a_row_for_each_layer_and_head_with_intervals_over_seeds(tables_of_seeds):
    gold = read_table(tables_of_seeds / "gold_sparsity.tsv")
    assert len(gold) == 2 * 2 * 3 and set(gold["seeds"]) == {3}
    assert gold["gold_sparsity_ci95"].notna().all() and set(gold["examples"]) == {32}


def test_one_seed_leaves_intervals_empty(tables):
    gold = read_table(tables / "gold_sparsity.tsv")
    assert len(gold) == 6 and gold["support_size_ci95"].isna().all()
