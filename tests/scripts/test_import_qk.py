from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch

import import_qk
from receipts import receipt_of
from sparse_attention.errors import InputError
from sparse_attention.qk.store import QKReader

LENGTHS = (5, 1, 8, 3, 6, 2, 7, 4, 9, 5)
LAYERS, HEADS, DIM = 2, 3, 4
OPTIONS = {
    "source": "dump", "rescale_queries": False, "causal": False, "validation_share": 0.2, "dtype": "float32",
    "examples": {"train": 64, "validation": 32}, "batch_size": 8,
}  # fmt: skip
SPLITS = ("train", "validation")


def make_dump(path, lengths=LENGTHS, seed=0, heads=HEADS, **more):
    generator = torch.Generator().manual_seed(seed)
    vectors = [[torch.randn(LAYERS, heads, n, DIM, generator=generator) for n in lengths] for _ in "qk"]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"length_src": list(lengths), "q": vectors[0], "k": vectors[1], **more}
    torch.save(content, path)
    return content


def run(folder, attention="entmax~1.5", options=None, **inputs):
    output = SimpleNamespace(**{split: str(folder / "out" / split) for split in SPLITS})
    params = SimpleNamespace(attention=attention, options={**OPTIONS, **(options or {})})
    receipts = SimpleNamespace(**{name: receipt_of(path, folder / "receipts", name) for name, path in inputs.items()})
    import_qk.main(SimpleNamespace(input=receipts, output=output, params=params))
    return QKReader(output.train), QKReader(output.validation)


def check(reader, content, indices, scale=1.0):
    assert reader.info.examples == len(indices)
    for layer in range(LAYERS):
        for example, index in zip(reader.examples(layer), indices, strict=True):
            torch.testing.assert_close(example.queries, content["q"][index][layer] * scale)
            assert torch.equal(example.keys, content["k"][index][layer])


@pytest.mark.parametrize(("share", "held_out"), [(0.2, 2), (0.01, 1), (0.5, 5), (0.99, 9)])
def test_the_last_share_of_a_dump_is_for_validation(tmp_path, share, held_out):
    content = make_dump(tmp_path / "mine.pt")
    train, validation = run(tmp_path, dump=tmp_path / "mine.pt", options={"validation_share": share})
    check(train, content, range(10 - held_out))
    check(validation, content, range(10 - held_out, 10))
    assert train.info.query_lengths + validation.info.query_lengths == LENGTHS
    assert not set(train.info.documents) & set(validation.info.documents)
    assert train.info.alpha == 1.5
    assert len(train.info.source["sha256"]["mine.pt"]) == 64


def test_two_dumps_are_taken_as_they_are(tmp_path):
    contents = {split: make_dump(tmp_path / split / "kqs_enc-attn.pt", seed=seed) for seed, split in enumerate(SPLITS)}
    readers = run(tmp_path, "entmax~2", **{split: tmp_path / split / "kqs_enc-attn.pt" for split in SPLITS})
    for split, reader in zip(SPLITS, readers, strict=True):
        check(reader, contents[split], range(10))
        assert reader.info.alpha == 2


@pytest.mark.parametrize("pair", [True, False], ids=["with validation", "without"])
def test_a_folder_of_the_originals(tmp_path, pair):
    content = make_dump(tmp_path / "dumps" / "kqs_enc-attn.pt")
    if pair:
        held_out = make_dump(tmp_path / "dumps" / "kqs_validation_enc-attn.pt", seed=1)
    (tmp_path / "dumps" / "._kqs_enc-attn.pt").write_bytes(b"what macOS keeps of a file")
    train, validation = run(tmp_path, dump=tmp_path / "dumps")
    check(train, content, range(10 if pair else 8))
    check(validation, *((held_out, range(10)) if pair else (content, range(8, 10))))


def test_folders_of_ours(tmp_path):
    content = make_dump(tmp_path / "mine.pt")
    run(tmp_path, dump=tmp_path / "mine.pt")
    stores = tmp_path / "out"
    results = [
        run(tmp_path / "both", dump=stores),
        run(tmp_path / "named", **{split: stores / split for split in SPLITS}),
    ]
    for train, validation in results:
        check(train, content, range(8))
        check(validation, content, range(8, 10))
    train, validation = run(tmp_path / "split", dump=stores / "train", options={"validation_share": 0.5})
    check(train, content, range(4))
    check(validation, content, range(4, 8))


def test_a_store_is_split_by_document(tmp_path):
    make_dump(tmp_path / "mine.pt")
    train, _ = run(tmp_path, dump=tmp_path / "mine.pt")
    sidecar = train.folder / "qk.json"
    text = sidecar.read_text()
    for index, name in enumerate(["a", "b", "a", "b", "c", "b", "a", "c"]):
        text = text.replace(train.info.documents[index], name)
    sidecar.write_text(text)
    train, validation = run(tmp_path / "again", dump=train.folder, options={"validation_share": 0.3})
    assert train.info.documents == tuple("ababba")
    assert validation.info.documents == tuple("cc")
    assert validation.info.query_lengths == (6, 4)


def test_rescaled_queries_and_causal_masks(tmp_path):
    content = make_dump(tmp_path / "mine.pt")
    options = {"rescale_queries": True, "causal": True}
    train, _ = run(tmp_path, dump=tmp_path / "mine.pt", options=options)
    check(train, content, range(8), scale=DIM**0.5)
    assert train.info.causal
    assert torch.equal(train.example(1, 2).valid, torch.ones(8, 8).tril().bool())


def test_translation(tmp_path):
    target = tuple(reversed(LENGTHS))
    content = make_dump(tmp_path / "mine.pt", lengths=(9,) * 10, length_trg=torch.tensor(target), length_src=LENGTHS)
    train, validation = run(tmp_path, dump=tmp_path / "mine.pt")
    for index, example in enumerate((*train.examples(1), *validation.examples(1))):
        assert torch.equal(example.queries, content["q"][index][1][:, : target[index]])
        assert torch.equal(example.keys, content["k"][index][1][:, : LENGTHS[index]])
        assert example.valid.shape == (target[index], LENGTHS[index])
    with pytest.raises(InputError, match=r"extract_qk.causal: true, but example 1 .*has 9 queries and 1 keys"):
        make_dump(tmp_path / "mine.pt", lengths=(9,) * 10, length_src=[9, *LENGTHS[1:]], length_trg=[9] * 10)
        run(tmp_path, dump=tmp_path / "mine.pt", options={"causal": True})


def test_the_dtype_is_the_configured_one(tmp_path):
    make_dump(tmp_path / "mine.pt")
    train, _ = run(tmp_path, dump=tmp_path / "mine.pt", options={"dtype": "bfloat16"})
    assert train.info.dtype == "bfloat16"
    content = make_dump(tmp_path / "big.pt")
    content["q"][3][1, 2, 0, 0] = 1e6
    torch.save(content, tmp_path / "big.pt")
    with pytest.raises(InputError, match=r"big.pt: example 3: queries .*do not fit into float16.*extract_qk.dtype"):
        run(tmp_path, dump=tmp_path / "big.pt", options={"dtype": "float16"})


def test_a_late_nan_leaves_no_output(tmp_path):
    content = make_dump(tmp_path / "mine.pt")
    content["k"][9][1, 2, 3, 0] = float("nan")
    torch.save(content, tmp_path / "mine.pt")
    with pytest.raises(InputError, match=r"mine.pt: example 9: k holds NaN"):
        run(tmp_path, dump=tmp_path / "mine.pt")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("validation", ["mine.pt", "copy.pt"])
def test_train_for_validation_is_refused(tmp_path, validation):
    make_dump(tmp_path / "mine.pt")
    shutil.copy(tmp_path / "mine.pt", tmp_path / "copy.pt")
    with pytest.raises(InputError, match=r"extract_qk.source: train and validation have the same content .*mine.pt"):
        run(tmp_path, train=tmp_path / "mine.pt", validation=tmp_path / validation)
    assert not (tmp_path / "out").exists()


def test_stores_that_share_documents_are_refused(tmp_path):
    make_dump(tmp_path / "mine.pt")
    run(tmp_path, dump=tmp_path / "mine.pt")
    with pytest.raises(InputError, match=r"train and validation have the same content"):
        run(tmp_path / "again", train=tmp_path / "out/train", validation=tmp_path / "out/train")
    with pytest.raises(InputError, match=r"extract_qk.source: .*share the document 'mine.pt@.*; allowed: none in both"):
        run(tmp_path / "again", train=tmp_path / "mine.pt", validation=tmp_path / "out/validation")


def test_one_example_cannot_be_split(tmp_path):
    make_dump(tmp_path / "mine.pt", lengths=(5,))
    with pytest.raises(InputError, match=r"mine.pt: holds 1 document; allowed: at least 2"):
        run(tmp_path, dump=tmp_path / "mine.pt")


def test_splits_of_different_models_are_refused(tmp_path):
    for heads, split in zip((2, 3), SPLITS, strict=True):
        make_dump(tmp_path / f"{split}.pt", heads=heads)
    with pytest.raises(
        InputError, match=r"extract_qk.source: .*\(2, 2, 4\) and \(2, 3, 4\) layers, heads and head_dim"
    ):
        run(tmp_path, **{split: tmp_path / f"{split}.pt" for split in SPLITS})


def test_a_store_of_another_alpha_is_refused(tmp_path):
    make_dump(tmp_path / "mine.pt")
    run(tmp_path, dump=tmp_path / "mine.pt")
    with pytest.raises(InputError, match=r"qk.json: alpha 1.5; allowed: 2, as in the attention of this run"):
        run(tmp_path / "again", "entmax~2", dump=tmp_path / "out")


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"nowhere.pt: no such file or folder"):
        run(tmp_path, dump=tmp_path / "nowhere.pt")
    with pytest.raises(InputError, match=r"folder: contains no file"):
        run(tmp_path, dump=tmp_path / "folder")
    (tmp_path / "folder" / "notes.txt").touch()
    with pytest.raises(
        InputError, match=r"folder holds notes.txt; allowed: one \*_enc-attn.pt, or a folder with qk.json"
    ):
        run(tmp_path, dump=tmp_path / "folder")
    (tmp_path / "folder" / "notes.txt").unlink()
    for name in "abc":
        make_dump(tmp_path / "folder" / f"{name}_enc-attn.pt", lengths=(2, 2))
    with pytest.raises(InputError, match=r"folder holds a_enc-attn.pt, b_enc-attn.pt, c_enc-attn.pt; allowed: one"):
        run(tmp_path, dump=tmp_path / "folder")
    with pytest.raises(InputError, match=r"extract_qk.source: .*\*\.pt has 3 files; allowed: one file"):
        run(tmp_path, dump=tmp_path / "folder" / "*.pt")
