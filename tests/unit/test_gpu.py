"""What runs on a GPU gives what the CPU gives; skipped where there is none."""

import numpy as np
import pytest
import torch

from points import GRIDS, points
from sparse_attention.attention.entmax import entmax, probabilities
from sparse_attention.attention.masks import valid_pairs
from sparse_attention.attention.supports import Buckets, _bits_by_arithmetic, pack, popcount
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.evaluation.sweep import Sweep
from sparse_attention.models.attention import Attention
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create, discover
from sparse_attention.projections.losses import sample_negatives
from sparse_attention.qk.gold import gold_of
from sparse_attention.qk.store import Example

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("alpha", [1.1, 1.5, 2.0])
@pytest.mark.parametrize("shape", [(3, 7), (2, 12, 257, 257)], ids=["small", "ragged pieces"])
def test_entmax_and_its_gradient(alpha, shape):
    scores = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores[..., -1] = -torch.inf
    here, there = scores.clone().requires_grad_(), scores.cuda().requires_grad_()
    weights = torch.arange(shape[-1], dtype=torch.float64)
    (entmax(here, alpha) * weights).sum().backward()
    (entmax(there, alpha) * weights.cuda()).sum().backward()
    torch.testing.assert_close(probabilities(scores.cuda(), alpha).cpu(), probabilities(scores, alpha))
    torch.testing.assert_close(there.grad[..., :-1].cpu(), here.grad[..., :-1])


@pytest.mark.parametrize("attention", ["entmax~1.5", "softmax"])
def test_a_model_and_its_padding(attention, tiny_inputs):
    tokens = torch.randint(5, 60, (2, 24), generator=torch.Generator().manual_seed(0))
    real = torch.ones_like(tokens)
    real[1, 15:] = 0
    model = load_masked_lm(tiny_inputs / "model", Attention.parse(attention)).eval()
    with torch.no_grad():
        here = model(input_ids=tokens, attention_mask=real).logits
        there = model.cuda()(input_ids=tokens.cuda(), attention_mask=real.cuda()).logits.cpu()
    torch.testing.assert_close(here[real.bool()], there[real.bool()], atol=1e-4, rtol=1e-4)


def test_negatives_are_valid_and_as_many_as_positives():
    generator = torch.Generator("cuda").manual_seed(0)
    support = torch.rand(2, 4, 32, 32, device="cuda") < 0.1
    valid = torch.ones(2, 32, 32, dtype=torch.bool, device="cuda").tril()
    support &= valid.unsqueeze(1)
    negatives = sample_negatives(support, valid, generator)
    assert not (negatives & support).any() and not (negatives & ~valid.unsqueeze(1)).any()
    others = valid.sum(-1).unsqueeze(1) - support.sum(-1)
    assert torch.equal(negatives.sum(-1), torch.minimum(support.sum(-1), others))


def test_bits_are_counted_and_packed_alike():
    mask = torch.rand(3, 5, 130, generator=torch.Generator().manual_seed(0)) < 0.3
    assert torch.equal(pack(mask.cuda()).cpu(), pack(mask))
    assert torch.equal(popcount(pack(mask).cuda()).cpu(), popcount(pack(mask)))
    words = torch.tensor([0, -1, 1, -(2**63), 2**63 - 1])
    assert _bits_by_arithmetic(words.cuda()).tolist() == [0, 64, 1, 1, 63]


def test_buckets_meet_alike():
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(-1, 6, (2, n, 1), generator=generator) for n in (70, 90)]
    valid = valid_pairs(70, 90)
    here, there = (Buckets(*(i.to(d) for i in ids), 6).support(valid.to(d)) for d in ("cpu", "cuda"))
    assert torch.equal(here.words, there.words.cpu()) and torch.equal(here.operations, there.operations.cpu())


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("name", sorted(GRIDS))
def test_a_sweep_measures_what_the_processor_measures(name, causal):
    generator = torch.Generator().manual_seed(0)
    queries, keys = (2 * torch.randn(3, 80, 8, generator=generator) for _ in range(2))
    low = [vectors @ torch.randn(3, 8, 2, generator=generator) for vectors in (queries, keys)]
    valid = valid_pairs(80, 80, causal)
    gold = gold_of(Example(0, queries, keys, valid), 1.5)
    centroids = torch.randn(3, 2, 5, 2, generator=generator, dtype=torch.float64)
    predictor = create(name, Context(1, GRIDS[name][0], Centroids((centroids,))))
    features = Features(0, 0, *low, queries, keys, valid)
    if discover()[name].fits:
        predictor.fit(0, [(features, gold)])
    here, there = (
        Sweep(predictor, points(name), (0, 3), ("none", "cls"), device=device).measure(features, gold)[0]
        for device in ("cpu", "cuda")
    )
    # rounding may move a pair that lies at a threshold
    np.testing.assert_allclose(there, here, rtol=0.02, atol=0.01)
