"""The choice of blocks, their order and their masks."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.training.batches import IGNORED, Collator, Masking, TrainingBlocks, in_turn, validation_batches

SPECIAL = {"pad": 1, "cls": 2, "sep": 3, "mask": 4}


def masking(probability: float = 0.15) -> Masking:
    return Masking(probability, SPECIAL, 60)


def test_blocks_are_chosen_from_all_documents_in_turn():
    documents = torch.tensor([0, 0, 0, 1, 2, 2])
    assert in_turn(documents, None).tolist() == [0, 3, 4, 1, 5, 2]
    assert in_turn(documents, 4).tolist() == [0, 3, 4, 1]
    assert in_turn(documents, 100).tolist() == [0, 3, 4, 1, 5, 2]
    assert in_turn(documents[:0], 3).tolist() == []


def test_masking_is_eighty_ten_ten():
    tokens, lengths = torch.randint(5, 60, (400, 100)), torch.full((400,), 100)
    batch = masking()(tokens, lengths, list(range(400)))
    chosen = batch["labels"] != IGNORED
    now, true = batch["input_ids"][chosen], batch["labels"][chosen]
    assert chosen.double().mean() == pytest.approx(0.15, abs=0.01)
    assert (now == SPECIAL["mask"]).double().mean() == pytest.approx(0.8, abs=0.02)
    assert (now == true).double().mean() == pytest.approx(0.1 + 0.1 / 60, abs=0.02)
    assert torch.equal(batch["input_ids"][~chosen], tokens[~chosen])
    assert torch.equal(true, tokens[chosen])


def test_special_tokens_and_padding_are_never_chosen(corpus):
    tokens, lengths, _ = corpus.split("train")
    batch = masking(1.0)(tokens, lengths, [0] * len(lengths))
    chosen, width = batch["labels"] != IGNORED, int(lengths.max())
    ordinary = tokens[:, :width] >= 5
    assert batch["input_ids"].shape[1] == width
    assert torch.equal(chosen, ordinary)
    assert torch.equal(batch["attention_mask"].sum(1), lengths.long())


def test_validation_masks_do_not_depend_on_the_batch_size(corpus):
    tokens, lengths, documents = corpus.split("validation")
    indices = in_turn(documents, 7)

    def flat(batch_size: int) -> list[list[int]]:
        batches = validation_batches(tokens, lengths, indices, batch_size, masking())
        rows = [row for batch in batches for row in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
        return [ids[real.bool()].tolist() for ids, real in rows]

    assert flat(1) == flat(3) == flat(7)


def test_training_order_is_a_new_shuffle_each_epoch_and_the_same_from_any_start(corpus):
    tokens, lengths, _ = corpus.split("train")
    items = TrainingBlocks(tokens, lengths, 80, seed=5)
    first = [items[place][1].tolist() for place in range(80)]
    assert sorted(first[:40]) == sorted(first[40:]) == sorted(tokens.tolist())
    assert first[:40] != first[40:]
    again = TrainingBlocks(tokens, lengths, 80, seed=5)
    assert [again[place][1].tolist() for place in range(60, 80)] == first[60:]
    assert [TrainingBlocks(tokens, lengths, 80, seed=6)[place][1].tolist() for place in range(40)] != first[:40]


def test_training_masks_are_new_each_epoch_and_fixed_by_the_seed(corpus):
    tokens, lengths, _ = corpus.split("train")
    row = (tokens[0], lengths[0])
    batches = [Collator(masking(), seed)([(item, *row)])["labels"] for seed, item in ((1, 0), (1, 0), (1, 40), (2, 0))]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
    assert not torch.equal(batches[0], batches[3])
