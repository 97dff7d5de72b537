"""Batches of functions: all of them in each epoch, of similar length, and the same in every run."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.pruning.batches import POOL, CodeCollator, TrainingFunctions, by_length
from toy_code import toy_functions

LENGTHS = torch.randint(3, 200, (300,), generator=torch.Generator().manual_seed(0))
SIZES = pytest.mark.parametrize(
    ("count", "batch_size", "accumulation"),
    [(150, 4, 1), (64, 4, 2), (37, 4, 3), (5, 4, 1), (3, 8, 1), (1, 2, 2)],
    ids=str,
)


def make(count: int = 37, batch_size: int = 4, accumulation: int = 3, epochs: int = 3, seed: int = 0):
    functions = torch.arange(300).flip(0)[:count]
    return functions, TrainingFunctions(functions, LENGTHS, batch_size, accumulation, epochs, seed)


def epochs_of(items: TrainingFunctions) -> list[list[int]]:
    order = [items[number] for number in range(len(items))]
    return [order[start : start + items.per_epoch] for start in range(0, len(order), items.per_epoch)]


@SIZES
def test_every_epoch_has_every_function_and_fills_its_last_step(count, batch_size, accumulation):
    functions, items = make(count, batch_size, accumulation)
    step = batch_size * accumulation
    assert items.steps_per_epoch == -(-count // step) and items.steps == 3 * items.steps_per_epoch
    epochs = epochs_of(items)
    assert [len(epoch) for epoch in epochs] == [items.steps_per_epoch * step] * 3
    for epoch in epochs:
        times = torch.bincount(torch.tensor(epoch), minlength=300)
        assert set(times.nonzero()[:, 0].tolist()) == set(functions.tolist())
        assert times[functions].max() - times[functions].min() <= 1


@pytest.mark.parametrize(("count", "batch_size"), [(150, 4), (37, 4), (64, 8)], ids=str)
def test_batches_are_of_similar_length_and_not_in_order_of_it(count, batch_size):
    _, items = make(count, batch_size, 1, 1)
    lengths = LENGTHS[epochs_of(items)[0]].view(-1, batch_size)
    spread = (lengths.amax(1) - lengths.amin(1)).float().mean()
    by_chance = torch.stack([LENGTHS[torch.randperm(300)[:batch_size]] for _ in range(200)])
    assert spread < 0.3 * (by_chance.amax(1) - by_chance.amin(1)).float().mean()
    assert (lengths.diff(dim=1) >= 0).all()
    longest = lengths.amax(1).tolist()
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)


def test_a_pool_is_cut_from_its_shortest_to_its_longest():
    functions, items = make(POOL * 4, 4, 1, 1)
    batches = sorted(LENGTHS[epochs_of(items)[0]].view(POOL, 4).tolist())
    assert [length for batch in batches for length in batch] == LENGTHS[functions].sort().values.tolist()


def test_longer_trainings_batch_other_functions_together_in_each_epoch():
    _, items = make(160, 4, 1, 2)
    first, second = ({frozenset(epoch[at : at + 4]) for at in range(0, 160, 4)} for epoch in epochs_of(items))
    assert len(first & second) < 10


def test_an_item_depends_on_its_number_only():
    _, items = make()
    expected = [items[number] for number in range(len(items))]
    places = torch.randperm(len(items), generator=torch.Generator().manual_seed(1)).tolist()
    for asked in (items, make()[1]):
        assert [asked[place] for place in places] == [expected[place] for place in places]
    assert make()[1][len(items) - 1] == expected[-1]


def test_epochs_and_seeds_shuffle_anew():
    orders = [epoch for seed in (0, 1, 2) for epoch in epochs_of(make(seed=seed)[1])]
    assert len({tuple(order) for order in orders}) == 9


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_by_length_takes_all_the_longest_first(batch_size):
    functions = torch.randperm(300, generator=torch.Generator().manual_seed(2))[:90].tolist()
    batches = list(by_length(functions, LENGTHS, batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    flat = [function for batch in batches for function in batch]
    assert sorted(flat) == sorted(functions) and (LENGTHS[flat].diff() <= 0).all()
    assert flat == [function for batch in by_length(sorted(functions), LENGTHS, batch_size) for function in batch]


def test_the_collator_gives_what_trainer_wants():
    tokens = toy_functions()
    batch, expected = CodeCollator(tokens)([3, 0, 5]), tokens.batch([3, 0, 5])
    assert list(batch) == ["input_ids", "attention_mask", "labels"]
    assert all(torch.equal(one, other) for one, other in zip(batch.values(), expected, strict=True))
    assert batch["labels"].tolist() == [1, 0, 1]
