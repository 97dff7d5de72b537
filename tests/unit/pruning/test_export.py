"""The data set after pruning: traced tokens, surviving text, and files that other programs can read."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from sparse_attention.data.code.functions import Function
from sparse_attention.data.code.tokens import CodeTokens, TokensInfo, tokenise
from sparse_attention.pruning.export import (
    Traced,
    pruned_functions,
    rows,
    surviving_text,
    trace,
    write_csvs,
    write_rows,
)
from sparse_attention.pruning.stored import make_pruned
from sparse_attention.pruning.thresholds import PruningSettings

LAYERS = 3
SETTINGS = {
    "relative": PruningSettings(score="relative", final=0.4),
    "cls": PruningSettings("manual", score="cls", final=0.05),
    "topk": PruningSettings("topk", final=0.3),
    "random": PruningSettings("random", final=0.3),
    "published": PruningSettings("manual", score="relative", final=0.4, variant="as_published"),
}
FAMILIES = ("longformer", "roberta", "bert")


def code_tokens(lengths):
    ids = torch.randint(2, 50, (sum(lengths),), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    sizes = torch.tensor(lengths, dtype=torch.int32)
    ends = torch.cat([torch.arange(1, n + 1, dtype=torch.int32) for n in lengths])
    labels = torch.zeros(len(lengths), dtype=torch.int8)
    info = TokensInfo(pad=1, vocabulary=50, max_tokens=40)
    return CodeTokens(ids, torch.stack([ends - 1, ends], 1), sizes, sizes, labels, labels, info)


@pytest.mark.parametrize(
    ("family", "name"),
    [(family, name) for family in FAMILIES for name in SETTINGS if name != "published" or family == "longformer"],
)
def test_tokens_are_traced_as_one_function_alone_is_pruned(family, name, make_classifier):
    model, tokens = make_pruned(make_classifier(family), SETTINGS[name]).eval(), code_tokens([7, 30, 1, 18, 30])
    traced = trace(model, tokens, [3, 0, 4, 2, 1], batch_size=2)
    assert list(traced) == [3, 0, 4, 2, 1]
    for number, found in traced.items():
        batch = tokens.batch([number])
        with torch.no_grad():
            hard = model(batch.ids, batch.mask, "hard")
        if model.can_drop:
            dropped = model.predict_dropped(batch.ids, batch.mask)
            logits, survived = dropped.logits, dropped.survived[0]
        else:
            logits, survived = hard.logits, hard.keep[:, 0].sum(0)
        assert found.function == number and found.last_layer == survived.tolist()
        assert found.probability == pytest.approx(float(logits.double().softmax(-1)[0, 1]), abs=1e-5)
        assert found.ids == batch.ids[0].tolist()
        assert found.spans == [(place, place + 1) for place in range(len(found.ids))]
        for token, score in enumerate(found.score):
            gone = [layer for layer in range(LAYERS) if not hard.keep[layer, 0, token]]
            assert score == pytest.approx(float(hard.scores[min([*gone, LAYERS - 1]), 0, token]), abs=1e-5)
    assert {0, LAYERS} < {last for found in traced.values() for last in found.last_layer}


def test_the_score_lies_below_the_threshold_of_the_layer_that_prunes(make_classifier):
    model = make_pruned(make_classifier("bert"), SETTINGS["relative"]).eval()
    thresholds = model.thresholds.values().tolist()
    for found in trace(model, code_tokens([30, 25]), [0, 1], batch_size=2).values():
        for last, score in list(zip(found.last_layer, found.score, strict=True))[1:]:
            assert score < thresholds[last] if last < LAYERS else score >= thresholds[-1]


def traced_of(source, lost, number=0, probability=0.5):
    """Tokens are words and signs between two special ones; those whose text or place is in `lost` are pruned."""
    words = list(re.finditer(r"\w+|[^\w\s]", source))
    last = [place % LAYERS if word[0] in lost or place in lost else LAYERS for place, word in enumerate(words)]
    spans = [(0, 0), *(word.span() for word in words), (0, 0)]
    ids, score = list(range(len(spans))), [place / 7 for place in range(len(spans))]
    return Traced(number, probability, ids, spans, [LAYERS, *last, 0], score)


LEFT = {
    "all of a function": ("def f(a):\n\tx  = a\n\n    return x", "", "def f(a):\n\tx  = a\n\n    return x"),
    "the first line's indent": ("   a b", "", "   a b"),
    "a space for a space": ("a b c", "b", "a c"),
    "a space where there was none": ("f(a.b)", "a", "f( .b)"),
    "one space for many": ("a   b\t\tc   d", "bc", "a d"),
    "a line break before a lost token": ("a\n    b c", "b", "a\nc"),
    "a line break after a lost token": ("a b\n\n    c", "b", "a\nc"),
    "one line break for many": ("a\nb\n\nc\n  d", "bc", "a\nd"),
    "gaps of both kinds": ("a b c\nd e", "bd", "a c\ne"),
    "nothing before the first": ("  a\nb c", "a", "b c"),
    "nothing after the last": ("a b\n  c", "c", "a b"),
    "a line break around all": ("\n\na b\n\n", "", "a b"),
    "nothing of nothing": ("", "", ""),
    "the longest lasting, as nothing survives": ("a = b\nc", "a=bc", "b"),
}


@pytest.mark.parametrize(("source", "lost", "left"), LEFT.values(), ids=LEFT)
def test_gaps_in_surviving_text_become_white_space(source, lost, left):
    assert surviving_text(source, traced_of(source, set(lost)), LAYERS) == left


def test_special_tokens_and_tokens_of_white_space_leave_no_gap():
    traced = Traced(0, 0.5, [0] * 6, [(0, 0), (0, 1), (2, 2), (4, 4), (4, 5), (0, 0)], [3, 3, 0, 1, 3, 0], [0.0] * 6)
    assert surviving_text("a   b", traced, LAYERS) == "a   b"


def test_text_beyond_the_cut_does_not_survive():
    source = "a b\nc d"
    traced = traced_of(source, ())
    traced = replace(traced, spans=traced.spans[:3], last_layer=traced.last_layer[:3])
    assert surviving_text(source, traced, LAYERS) == "a b"


@given(st.text(alphabet="ab_é😀(= \t\n", max_size=40), st.sets(st.integers(0, 20)))
def test_surviving_tokens_keep_their_order_and_characters(source, lost):
    traced = traced_of(source, lost)
    pairs = list(zip(traced.spans, traced.last_layer, strict=True))
    most = max((last for (start, end), last in pairs if start < end), default=0)
    left = [source[start:end] for (start, end), last in pairs if start < end and last == most]
    text = surviving_text(source, traced, LAYERS)
    assert "".join(text.split()) == "".join(left)
    if most == LAYERS and all(last == LAYERS for _, last in pairs):
        assert text == source[: traced.spans[-2][1] if len(pairs) > 2 else 0].strip("\n")


@pytest.fixture(scope="module")
def bytes_tokenizer():
    """Return a tokenizer of bytes, as RoBERTa's and Longformer's: several tokens may share a character."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["<s>", "</s>", "<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    own = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=own, pad_token="<pad>", cls_token="<s>", sep_token="</s>")


@pytest.mark.parametrize(
    ("lost", "left"),
    [("", "x = 'naïve 😀'  # ok"), ("ok", "x = 'naïve 😀'  #"), ("x=", "'naïve 😀'  # ok")],
    ids=["all", "but the last word", "but the first words"],
)
def test_a_character_of_several_tokens_survives_once(lost, left, bytes_tokenizer):
    source = "x = 'naïve 😀'  # ok"
    tokens = tokenise([Function(source, 0, split="test")], bytes_tokenizer, 64)
    spans = [tuple(span) for span in tokens.spans.tolist()]
    last = [0 if start < end and source[start:end] in list(lost) else LAYERS for start, end in spans]
    traced = Traced(0, 0.5, tokens.ids.tolist(), spans, last, [0.0] * len(spans))
    assert surviving_text(source, traced, LAYERS) == left


SOURCES = ['x = "a, b"\ny', "s = 'it''s'\r\n\tz\n", "name, né = 😀, \u2028", "lost", 'k\n\n"""doc"""\n# ;|\'']
FUNCTIONS = [
    Function(source, number % 2, f"p{number}", f"{number}.py", "B602", (1,), split)
    for number, (source, split) in enumerate(
        zip(SOURCES, ["train", "validation", "test", "test", "train"], strict=True)
    )
]
TRACED = {
    number: traced_of(SOURCES[number], {"lost", "s", "né"}, number, number / 8 + 1e-9) for number in (4, 2, 3, 0, 1)
}


def test_pruned_functions_change_source_and_lines_only():
    found = list(pruned_functions(FUNCTIONS, TRACED, LAYERS))
    texts = [surviving_text(SOURCES[number], TRACED[number], LAYERS) for number in TRACED]
    assert all(text.strip() for text in texts) and texts[3] == SOURCES[0]
    assert found == [
        replace(FUNCTIONS[number], source=text, lines=()) for number, text in zip(TRACED, texts, strict=True)
    ]


def test_a_row_holds_all_columns_of_a_function():
    found = list(rows(FUNCTIONS, TRACED, LAYERS))
    assert [row["function"] for row in found] == list(TRACED)
    assert found[1] == {
        "function": 2, "split": "test", "label": 0, "project": "p2", "path": "2.py", "rule": "B602",
        "probability": 0.250000001, "token_ids": TRACED[2].ids, "spans": [list(span) for span in TRACED[2].spans],
        "last_layer": TRACED[2].last_layer, "score": TRACED[2].score, "functionSource": "name, = 😀,",
    }  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """Return a folder with all files, and the functions that they hold."""
    left = list(pruned_functions(FUNCTIONS, TRACED, LAYERS))
    write_rows(list(rows(FUNCTIONS, TRACED, LAYERS)), tmp_path / "pruned.parquet", tmp_path / "pruned.jsonl")
    write_csvs(left, tmp_path / "csv")
    return tmp_path, left


def test_parquet_and_json_lines_hold_the_same_rows(written):
    folder, _ = written
    expected = list(rows(FUNCTIONS, TRACED, LAYERS))
    assert parquet.read_table(folder / "pruned.parquet").to_pylist() == expected
    lines = (folder / "pruned.jsonl").read_bytes().decode().removesuffix("\n").split("\n")
    assert [json.loads(line) for line in lines] == expected
    assert {file.name for file in folder.iterdir()} == {"pruned.parquet", "pruned.jsonl", "csv"}


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("split", "original"), [("train", "train"), ("validation", "dev"), ("test", "test")], ids=lambda name: name
)
def test_csv_files_hold_each_split_as_it_is(split, original, written):
    folder, left = written
    own = [one for one in left if one.split == split]
    assert own and read_csv(folder / "csv" / f"{split}.csv") == [
        {"functionSource": one.source, "label": str(one.label), "project": one.project} for one in own
    ]
    path = folder / "csv" / "original" / f"{original}_pruned.csv"
    assert read_csv(path) == [{"label": str(one.label), "code": one.source} for one in own]
    assert path.read_text(encoding="utf-8").startswith("label,code\n")


def test_a_split_without_functions_has_a_header_only(tmp_path):
    write_csvs(FUNCTIONS[:1], tmp_path)
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.csv")) == [
        "original/dev_pruned.csv", "original/test_pruned.csv", "original/train_pruned.csv",
        "test.csv", "train.csv", "validation.csv",
    ]  # fmt: skip
    assert (tmp_path / "test.csv").read_text().strip() == "functionSource,label,project"


@pytest.fixture
def load(tmp_path):
    """Return `datasets.load_dataset` for files on this machine."""
    import datasets

    return lambda kind, files: datasets.load_dataset(kind, data_files=files, cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize(("kind", "file"), [("parquet", "pruned.parquet"), ("json", "pruned.jsonl")])
def test_datasets_read_the_rows(kind, file, written, load):
    assert load(kind, str(written[0] / file))["train"].to_list() == list(rows(FUNCTIONS, TRACED, LAYERS))


def test_datasets_read_the_csv_files(written, load):
    folder, left = written
    files = {split: str(folder / "csv" / f"{split}.csv") for split in ("train", "validation", "test")}
    for split, found in load("csv", files).items():
        assert [(row["functionSource"], row["label"], row["project"]) for row in found] == [
            (one.source, one.label, one.project) for one in left if one.split == split
        ]
