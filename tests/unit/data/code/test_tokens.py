"""Functions as tokens: what they cover, what is cut, how they are batched, saved and counted."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from sparse_attention.data.code.functions import Function
from sparse_attention.data.code.tokens import PARTS, CodeTokens, TokensInfo, load_tokenizer, statistics, tokenise
from sparse_attention.errors import InputError

WORDS = "def f ( x ) : return y + = ä".split()
FUNCTIONS = [
    Function("def f(x):\n    return x + y", 0, split="train"),
    Function("", 1, split="test"),
    Function("def ä(x): return x", 1, split="train"),
    Function("x = y", 0, split="validation"),
    Function("x = y + y + y + y", 1, split="train"),
]


def make_tokenizer(**special: str | None) -> PreTrainedTokenizerFast:
    """Return a tokenizer of words and signs, with marks at both ends."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    words = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")} | special
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=7, **special)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="module")
def whole(tokenizer) -> CodeTokens:
    return tokenise(FUNCTIONS, tokenizer, 100)


@pytest.fixture(scope="module")
def cut(tokenizer) -> CodeTokens:
    return tokenise(FUNCTIONS, tokenizer, 8)


def test_spans_cover_the_source_and_are_empty_for_special_tokens(whole, tokenizer):
    for number, function in enumerate(FUNCTIONS):
        place = whole.slice_of(number)
        ids, spans = whole.ids[place].tolist(), whole.spans[place].tolist()
        assert (ids[0], ids[-1]) == (2, 3) and spans[0] == spans[-1] == [0, 0]
        pieces = [function.source[start:end] for start, end in spans[1:-1]]
        assert tokenizer.convert_ids_to_tokens(ids[1:-1]) == pieces
        assert "".join(pieces) == "".join(function.source.split())
    assert whole.ids.dtype == whole.spans.dtype == whole.lengths.dtype == whole.whole_lengths.dtype == torch.int32
    assert whole.info == TokensInfo(pad=0, vocabulary=15, max_tokens=100)


def test_labels_and_splits_are_those_of_the_functions(whole):
    assert whole.labels.tolist() == [0, 1, 1, 0, 1]
    found = {split: whole.of(split).tolist() for split in ("train", "validation", "test")}
    assert found == {"train": [0, 2, 4], "validation": [3], "test": [1]}


def test_the_end_is_cut_and_the_last_special_token_stays(whole, cut):
    assert whole.lengths.tolist() == whole.whole_lengths.tolist() == cut.whole_lengths.tolist()
    assert cut.lengths.tolist() == [min(8, length) for length in whole.lengths.tolist()]
    assert (cut.lengths < whole.lengths).any() and (cut.lengths == whole.lengths).any()
    for number, length in enumerate(cut.lengths.tolist()):
        for part in ("ids", "spans"):
            short, long = (getattr(tokens, part)[tokens.slice_of(number)] for tokens in (cut, whole))
            assert torch.equal(short[:-1], long[: length - 1]) and torch.equal(short[-1], long[-1])


def test_slices_of_functions_follow_each_other(cut):
    places = [cut.slice_of(number) for number in range(len(FUNCTIONS))]
    assert [place.start for place in places] == [0, *(place.stop for place in places[:-1])]
    assert places[-1].stop == len(cut.ids) == len(cut.spans) == int(cut.lengths.sum())


@pytest.mark.parametrize("functions", [[2], [1, 4], [4, 0, 1, 4]], ids=str)
def test_a_batch_is_padded_to_its_longest(functions, cut):
    batch = cut.batch(functions)
    lengths = cut.lengths[functions]
    assert batch.ids.shape == batch.mask.shape == (len(functions), int(lengths.max()))
    for row, number in enumerate(functions):
        length = int(lengths[row])
        assert batch.ids[row, :length].tolist() == cut.ids[cut.slice_of(number)].tolist()
        assert (batch.ids[row, length:] == 0).all() and batch.mask[row].sum() == batch.mask[
            row, :length
        ].sum() == length
    assert batch.labels.tolist() == [FUNCTIONS[number].label for number in functions]
    assert batch.ids.dtype == batch.mask.dtype == batch.labels.dtype == torch.int64


def test_padding_is_the_tokenizers_own(tokenizer):
    tokens = tokenise(FUNCTIONS[:2], make_tokenizer(pad_token="y"), 8)
    assert tokens.info.pad == 11 and tokens.batch([0, 1]).ids[1].tolist() == [2, 3, 11, 11, 11, 11, 11, 11]


def test_tokens_are_read_back_as_they_were_saved(cut, tmp_path):
    for name in ("a", "b"):
        cut.save(tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json")
    again = CodeTokens.load(tmp_path / "a.safetensors")
    for part in PARTS:
        assert torch.equal(getattr(again, part), getattr(cut, part)), part
        assert getattr(again, part).dtype == getattr(cut, part).dtype
    assert again.info == cut.info
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: save_file({"ids": torch.ones(2)}, path),
            r"holds \['ids'\]; allowed: ids, spans, .*tokenise_code",
        ),
        (lambda path: path.write_bytes(b"no tensors"), "is not a complete safetensors file"),
        (lambda path: None, "there is no such file"),
    ],
    ids=["other tensors", "damaged", "missing"],
)
def test_a_file_of_another_kind_is_refused(write, message, tmp_path):
    write(tmp_path / "tokens.safetensors")
    (tmp_path / "tokens.json").write_text("{}")
    with pytest.raises(InputError, match=rf"tokens\.safetensors: {message}"):
        CodeTokens.load(tmp_path / "tokens.safetensors")


@pytest.mark.parametrize("content", [None, "{"], ids=["missing", "damaged"])
def test_a_sidecar_that_cannot_be_read_is_refused(cut, content, tmp_path):
    cut.save(tmp_path / "tokens.safetensors", tmp_path / "other.json")
    if content:
        (tmp_path / "tokens.json").write_text(content)
    with pytest.raises(InputError, match=r"tokens\.json: (not valid JSON|there is no such file)"):
        CodeTokens.load(tmp_path / "tokens.safetensors")


def test_the_end_is_cut_whatever_the_tokenizer_prefers(tokenizer):
    left = make_tokenizer()
    left.truncation_side = "left"
    assert torch.equal(tokenise(FUNCTIONS, left, 5).ids, tokenise(FUNCTIONS, make_tokenizer(), 5).ids)


def test_a_saved_tokenizer_is_loaded(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert torch.equal(tokenise(FUNCTIONS, loaded, 8).ids, tokenise(FUNCTIONS, tokenizer, 8).ids)


@pytest.mark.parametrize(
    ("special", "files", "message"),
    [
        ({"pad_token": None}, {}, ": its tokenizer has no padding token; allowed: a fast tokenizer of an encoder"),
        (
            {},
            {"tokenizer_config.json": '{"tokenizer_class": "CanineTokenizer"}'},
            ": its tokenizer is not a fast tokenizer",
        ),
        ({}, {"tokenizer.json": "{"}, r"/tokenizer\.json: not valid JSON"),
        ({}, {"tokenizer.json": "{}"}, r"/tokenizer\.json: the tokenizer cannot be loaded: .*; allowed: a tok"),
    ],
    ids=["no padding", "slow", "damaged", "newer"],
)
def test_an_unusable_tokenizer_is_refused(special, files, message, tmp_path):
    make_tokenizer(**special).save_pretrained(tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"{tmp_path.name}{message}"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("config", [None, "bert", "roberta"])
def test_a_folder_without_a_tokenizer_is_refused(config, tmp_path):
    if config:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": config}))
    with pytest.raises(InputError, match=tmp_path.name):
        load_tokenizer(tmp_path)


def test_statistics_count_what_was_cut(cut):
    rows = statistics(cut).set_index(["split", "label"])
    assert rows["functions"].to_dict() == {
        ("train", 0): 1, ("train", 1): 2, ("validation", 0): 1, ("validation", 1): 0, ("test", 0): 0, ("test", 1): 1,
    }  # fmt: skip
    assert cut.whole_lengths[[2, 4]].tolist() == [10, 11]
    defects = rows.loc[("train", 1)]
    assert defects[["truncated", "min", "q25", "median", "q75", "max"]].tolist() == [1, 10, 10.25, 10.5, 10.75, 11]
    assert rows.loc[("validation", 0), "truncated"] == 0 and rows.loc[("test", 1), "max"] == 2
    nothing = rows.loc[("validation", 1), ["truncated", "min", "median", "max"]]
    assert nothing.isna().all()
