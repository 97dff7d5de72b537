"""Maps of an example's attention against looking at one pair after the other."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.data.blocks import Blocks, BlocksInfo, SplitInfo
from sparse_attention.errors import InputError
from sparse_attention.evaluation.examples import Split
from sparse_attention.evaluation.maps import COLUMNS, Asked, map_attention, positions, shown_layers, token_texts
from sparse_attention.evaluation.sweep import point_name
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import block_features
from sparse_attention.predictors.registry import create
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.gold import GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter
from sparse_attention.settings.grids import product

LAYERS, HEADS, LENGTHS = 5, 3, (12, 9)
CASES = {
    "window": ("window", {"width": [1, 3, 7, 51]}, {}),
    "distance": ("cos", {"threshold": [0.1, 0.5, 1.0, 1.5]}, {}),
    "a number for each head": ("l2", {"threshold": [0.5, 4.0, [1.0, 3.0, 9.0]]}, {}),
    "clusters": ("kmeans", {"top": [1, 2]}, {"clusters": 3, "runs": 2}),
    "chance": ("bigbird", {"random_keys": [1, 3]}, {}),
    "learns": ("gate", {"threshold": [0.2, 0.5, 0.8]}, {"dim": 2, "block": 1, "steps": 2}),
}


@pytest.fixture(scope="module", params=[False, True], ids=["full", "causal"])
def stores(request, tmp_path_factory):
    """Return the folder of queries, keys and gold supports of two splits."""
    folder, generator = tmp_path_factory.mktemp("stores"), torch.Generator().manual_seed(1)
    for split in ("train", "validation"):
        info = QKInfo(LAYERS, HEADS, 6, LENGTHS, LENGTHS, (f"{split} 0", f"{split} 1"), causal=request.param)
        with QKWriter(folder / "qk" / split, info) as writer:
            for layer in range(LAYERS):
                for index, n in enumerate(LENGTHS):
                    writer.write(layer, index, *(2 * torch.randn(HEADS, n, 6, generator=generator) for _ in range(2)))
        reader = QKReader(folder / "qk" / split)
        with GoldWriter(folder / "gold" / split, info) as writer:
            for layer in range(LAYERS):
                for example in reader.examples(layer):
                    writer.write(layer, example, gold_of(example, 1.5))
    return folder


def split_of(stores, name, block_size=1):
    generator = torch.Generator().manual_seed(0)
    weights = [initial_weights(ProjectionSetting("linear", 2, True), HEADS, 6, generator) for _ in range(LAYERS)]
    projections = Projections.of([(both, both) for both in weights])
    return Split(stores / "qk" / name, stores / "gold" / name, projections, block_size)


def predictor_of(name, fixed, block_size=1):
    generator = torch.Generator().manual_seed(0)
    # the vector of a block is that of all its tokens
    drawn = (torch.randn(HEADS, 2, 3, 2 * block_size, generator=generator, dtype=torch.float64) for _ in range(LAYERS))
    return create(name, Context(3, fixed, Centroids(tuple(drawn))))


def plainly(predictor, split, grid, asked, texts, training):
    """The rows of a map, pair by pair."""
    chosen, pairs, valid = {}, [0] * len(product(grid)), 0
    for layer in shown_layers(LAYERS):
        tokens, gold = split.layer(layer).tokens(asked.example)
        if predictor.fits:
            predictor.fit(layer, training.layer(layer))
        _, queries, keys = tokens.shape
        dense = gold.dense().double()
        rest = [float((dense[head, :, 0] + dense[head, :, -1]).sum() / dense[head].sum()) for head in range(HEADS)]
        head = rest.index(min(rest))
        size = split.block_size
        features = tokens if size == 1 else block_features(tokens, size)
        supports = [predictor.support(features, **point)[head] for point in product(grid)]
        kept = [
            {
                (i, j)
                for i in range(queries)
                for j in range(keys)
                if tokens.valid[i, j] and support[i // size, j // size]
            }
            for support in supports
        ]
        chosen[layer] = head, dense[head], kept
        pairs = [total + len(own) for total, own in zip(pairs, kept, strict=True)]
        valid += int(tokens.valid.sum())
    distances = [round(abs(1 - number / valid - asked.sparsity), 12) for number in pairs]
    best = distances.index(min(distances))
    return best, 1 - pairs[best] / valid, [
        (layer, head, query, key, texts[query], texts[key], float(dense[query, key]), int((query, key) in kept[best]))
        for layer, (head, dense, kept) in chosen.items()
        for query in range(min(asked.tokens, queries))
        for key in range(min(asked.tokens, keys))
        if dense[query, key] > 0 or (query, key) in kept[best]
    ]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("example", "tokens", "sparsity"), [(0, 6, 0.9), (1, 40, 0.5)], ids=["few", "all"])
def test_a_map_is_what_single_pairs_say(case, example, tokens, sparsity, stores):
    name, grid, fixed = CASES[case]
    asked, texts = Asked(example, tokens, sparsity), [f"word {place}" for place in range(LENGTHS[example])]
    given = [predictor_of(name, fixed), split_of(stores, "validation"), grid, asked, texts, split_of(stores, "train")]
    found = map_attention(*given)
    best, achieved, rows = plainly(*given)
    assert list(found.columns) == list(COLUMNS) and set(found["layer"]) == {0, 2, 4}
    assert set(found["point"]) == {point_name(given[0], product(grid)[best])}
    assert found["sparsity"].tolist() == pytest.approx([achieved] * len(rows))
    plain = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("point", "sparsity")])
    pd.testing.assert_frame_equal(found[list(plain.columns)], plain, check_dtype=False)


@pytest.mark.parametrize("case", ["window", "distance", "clusters"])
def test_the_pairs_of_blocks_are_those_of_their_tokens(case, stores):
    name, grid, fixed = CASES[case]
    texts = list(map(str, range(9)))
    given = [predictor_of(name, fixed, 2), split_of(stores, "validation", 2), grid, Asked(1, 9, 0.7), texts, None]
    found = map_attention(*given)
    _, achieved, rows = plainly(*given)
    assert found["predicted"].tolist() == [row[-1] for row in rows] and found["sparsity"].iloc[0] == achieved
    assert found[["query", "key"]].values.tolist() == [list(row[2:4]) for row in rows]


def test_of_points_that_are_equally_near_the_first_is_shown(stores):
    grid, split = {"width": [51, 49, 3]}, split_of(stores, "validation")
    found = map_attention(predictor_of("window", {}), split, grid, Asked(0, 4, 0.0), positions(0, split.info))
    assert set(found["point"]) == {"width~51"} and found["query_token"].tolist() == found["query"].astype(str).tolist()


@pytest.mark.parametrize(("layers", "shown"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (6, [0, 3, 5]), (12, [0, 6, 11])])
def test_first_middle_and_last_layer(layers, shown):
    assert shown_layers(layers) == shown


def test_an_example_that_is_not_there_is_refused(stores):
    info = split_of(stores, "validation").info
    options = {"example": 1, "tokens": 4, "sparsity": 0.5}
    assert Asked.of(options, info) == Asked(1, 4, 0.5)
    with pytest.raises(InputError, match=r"map_attention\.example: 2 is too high; .* validation examples, 2"):
        Asked.of(options | {"example": 2}, info)


NASTY = [
    "[PAD]",
    "[UNK]",
    "a\tb",
    "two\nlines\r",
    '"',
    "<script>",
    "\u202eright",
    " ",
    "$x$",
    "NA",
    "007",
    "=1+1",
    "\x07",
]


def nasty_tokenizer():
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(NASTY)}, unk_token="[UNK]"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")


def blocks_of(*rows, documents):
    """Return validation blocks of some tokens."""
    length = max(map(len, rows))
    tokens = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], dtype=torch.int32)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int32)
    parts = {"tokens": tokens, "lengths": lengths, "documents": torch.tensor(documents, dtype=torch.int32)}
    facts = SplitInfo(len(rows), int(lengths.sum()), 1, [str(number) for number in sorted(set(documents))])
    info = BlocksInfo(length, {"pad": 0}, len(NASTY), 1.0, {"validation": facts})
    return Blocks({f"validation.{name}": value for name, value in parts.items()}, info)


def info_of(*lengths):
    return QKInfo(1, 1, 2, lengths, lengths, tuple(map(str, range(len(lengths)))))


def test_texts_are_those_of_the_block_that_was_extracted():
    blocks = blocks_of([9, 10], [11, 9, 10], [10], documents=[0, 0, 1])
    # the documents take turns
    info = info_of(2, 1, 3)
    found = [token_texts(blocks, nasty_tokenizer(), example, info) for example in range(3)]
    assert found == [["NA", "007"], ["007"], ["=1+1", "NA", "007"]]
    with pytest.raises(
        InputError, match="validation example 1: its block has 1 tokens, .* are of 3; allowed: the blocks"
    ):
        token_texts(blocks, nasty_tokenizer(), 1, info_of(2, 3))
    with pytest.raises(InputError, match="validation example 3: its block has 0 tokens"):
        token_texts(blocks, nasty_tokenizer(), 3, info_of(2, 1, 3, 1))


def test_no_token_breaks_a_table(tmp_path):
    everything = list(range(len(NASTY)))
    texts = token_texts(blocks_of(everything, documents=[0]), nasty_tokenizer(), 0, info_of(len(NASTY)))
    assert texts[2:] == ["a b", "two lines", '"', "<script>", r"\u202eright", "7", "$x$", "NA", "007", "=1+1", r"\x07"]
    write_table(pd.DataFrame({"place": everything, "text": texts}), tmp_path / "texts.tsv")
    assert read_table(tmp_path / "texts.tsv")["text"].tolist() == texts
    assert len((tmp_path / "texts.tsv").read_text().splitlines()) == 1 + len(NASTY)
