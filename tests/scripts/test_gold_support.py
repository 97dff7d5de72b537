from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import gold_support
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.qk.gold import GoldReader, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter, shard_path

COLUMNS = ["layer", "head", "gold_sparsity", "support_size", "ends_share", "ends_mass", "examples"]


def make_store(folder, **changes):
    info = QKInfo(2, 3, 4, (6, 11, 2), (6, 11, 2), ("a", "b", "c"), **changes)
    generator = torch.Generator().manual_seed(0)
    with QKWriter(folder, info) as writer:
        for layer in range(2):
            for index, length in enumerate(info.query_lengths):
                writer.write(layer, index, *(3 * torch.randn(2, 3, length, 4, generator=generator)))
    return folder


def run(folder, qk):
    output = SimpleNamespace(gold=str(folder / "gold"), sparsity=str(folder / "gold.tsv"))
    gold_support.main(
        SimpleNamespace(input=SimpleNamespace(qk=str(qk)), output=output, params=SimpleNamespace(threads=1))
    )
    return GoldReader(output.gold), read_table(output.sparsity)


@pytest.mark.parametrize("mask", [{}, {"causal": True}, {"local_windows": (None, 1)}], ids=["full", "causal", "local"])
def test_supports_and_table(tmp_path, mask):
    qk = QKReader(make_store(tmp_path / "qk", **mask))
    gold, table = run(tmp_path, tmp_path / "qk")
    assert list(table.columns) == COLUMNS
    assert list(zip(table["layer"], table["head"], strict=True)) == [
        (layer, head) for layer in (0, 1) for head in range(3)
    ]
    assert set(table["examples"]) == {3}
    for row in table.itertuples():
        sparsity, size, share, mass = 0.0, 0.0, 0.0, 0.0
        for index, example in enumerate(qk.examples(row.layer)):
            expected = gold_of(example, 1.5)
            assert torch.equal(gold.example(row.layer, index).support, expected.support)
            edges = int(expected.support[row.head].sum())
            sparsity += (1 - edges / int(example.valid.sum())) / 3
            size += edges / example.valid.shape[0] / 3
            first_last = expected.dense()[row.head][:, [0, -1]]
            share += int((first_last > 0).sum()) / edges / 3
            mass += float(first_last.sum()) / example.valid.shape[0] / 3
        assert row.gold_sparsity == pytest.approx(sparsity, rel=1e-5)
        assert row.support_size == pytest.approx(size, rel=1e-5)
        assert (row.ends_share, row.ends_mass) == pytest.approx((share, mass), rel=1e-5)


def test_equal_input_gives_equal_bytes(tmp_path):
    qk = make_store(tmp_path / "qk")
    for name in ("first", "second"):
        run(tmp_path / name, qk)
    files = [sorted(path for path in (tmp_path / name).rglob("*") if path.is_file()) for name in ("first", "second")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_alpha_is_that_of_the_store(tmp_path):
    sparsities = [
        run(tmp_path / str(a), make_store(tmp_path / f"qk {a}", alpha=a))[0].sparsity for a in (1.25, 1.5, 2.0)
    ]
    assert (sparsities[0] < sparsities[1]).all()
    assert (sparsities[1] < sparsities[2]).all()


def test_a_store_of_softmax_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"softmax.*no sparse support"):
        run(tmp_path, make_store(tmp_path / "qk", alpha=1.0))


def test_a_truncated_shard_leaves_no_output(tmp_path):
    shard = shard_path(make_store(tmp_path / "qk"), 1)
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"layer~1.safetensors: .*truncated"):
        run(tmp_path, tmp_path / "qk")
    assert [path.name for path in tmp_path.iterdir()] == ["qk"]
