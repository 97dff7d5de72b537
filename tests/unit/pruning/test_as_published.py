"""The published variant against plain loops over queries, heads and keys, and the effects of its quirks."""

import math

import pytest
import torch

from sparse_attention.errors import InputError
from sparse_attention.pruning.as_published import PublishedClassifier, published_attention
from sparse_attention.pruning.layers import layers_of
from sparse_attention.pruning.stored import load_pruned_model, make_pruned, save_pruned_model
from sparse_attention.pruning.thresholds import PruningSettings

PUBLISHED = {"mode": "manual", "score": "relative", "variant": "as_published", "ramp": "zero_based"}


def plain(layer, states, mask, padding, twice):
    """Return context and scores of one sequence by loops, with a list of the keys that each query sees."""
    module, n = layer.module.attention.self, states.shape[1]
    width = states.shape[2] // layer.heads
    q, k, v = (tensor[0].reshape(n, layer.heads, width) for tensor in layer.project(states))
    gq = module.query_global(states[0, :1]).reshape(layer.heads, width)
    gk, gv = (getattr(module, f"{name}_global")(states[0]).reshape(n, layer.heads, width) for name in ("key", "value"))
    context, received = torch.zeros(layer.heads, n, width), torch.zeros(n)
    for head in range(layer.heads):
        for i in range(n):
            window = [j for j in range(n) if abs(i - j) <= layer.window // 2 and mask[0, j] == 0]
            keys = ([0] if mask[0, 0] == 0 else []) + [j for j in window if j > 0 or twice]
            logits = torch.tensor([float(q[i, head] @ k[j, head]) / math.sqrt(width) for j in keys])
            for j, share in zip(keys, logits.softmax(0), strict=True):
                context[head, i] += share * v[j, head]
                if mask[0, i] == 0:
                    received[j] += share
        seen = [j for j in range(n) if padding[0, j] == 0]
        logits = torch.tensor([float(gq[head] @ gk[j, head]) / math.sqrt(width) for j in seen])
        context[head, 0] = sum(share * gv[j, head] for j, share in zip(seen, logits.softmax(0), strict=True))
    return context, received / received.max()


@pytest.mark.parametrize("twice", [False, True], ids=["CLS-once", "CLS-twice"])
@pytest.mark.parametrize("hidden", [[], [3, 4, 9]], ids=["none-hidden", "some-hidden"])
@torch.no_grad()
def test_attention_equals_plain_loops(make_classifier, twice, hidden):
    layer = layers_of(make_classifier("longformer"))[0]
    states = torch.randn(1, 14, 24, generator=torch.Generator().manual_seed(0))
    padding = torch.zeros(1, 14)
    padding[0, 12:] = -torch.inf
    mask = padding.clone()
    mask[0, hidden] = -torch.inf
    context, scores = published_attention(layer, states, mask, padding, twice)
    wanted, wanted_scores = plain(layer, states, mask, padding, twice)
    real = padding[0] == 0
    torch.testing.assert_close(context[0][:, real], wanted[:, real], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(scores[0][real], wanted_scores[real], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_without_thresholds_it_is_the_dense_model(make_classifier, make_batch):
    network, batch = make_classifier("longformer"), make_batch("B3-ragged")
    model = make_pruned(network, PruningSettings(**PUBLISHED, final=0.0))
    dense = network(*batch).logits
    for mode in ("dense", "soft", "hard"):
        torch.testing.assert_close(model(*batch, mode).logits, dense, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("variant", "reads"), [("as_published", True), ("corrected", False)], ids=str)
@torch.no_grad()
def test_cls_reads_pruned_tokens_only_in_the_published_variant(make_classifier, make_batch, variant, reads):
    network, batch = make_classifier("longformer"), make_batch("B1")
    settings = PruningSettings("manual", "relative", 1.0, variant=variant)
    model = make_pruned(network, settings)
    model.thresholds.base[:] = 1.0
    before = model(*batch, "hard")
    pruned = (before.keep[0, 0] == 0).nonzero()[0, 0]

    def disturb(module, given, states):
        states[0, pruned] += 5.0
        return states

    handle = layers_of(network)[0].module.output.register_forward_hook(disturb)
    after = model(*batch, "hard")
    handle.remove()
    assert (not torch.equal(before.logits, after.logits)) == reads


def test_it_never_learns_and_cannot_drop(make_classifier, make_batch, tmp_path):
    model = make_pruned(make_classifier("longformer"), PruningSettings(**PUBLISHED, final=0.3))
    assert isinstance(model, PublishedClassifier) and not model.can_drop
    assert not model.thresholds.offset.requires_grad
    model.thresholds.temperature = 0.1
    model(*make_batch("B2"), "soft").logits.sum().backward()
    assert model.thresholds.offset.grad is None
    with pytest.raises(ValueError, match="cannot be removed"):
        model.eval().predict_dropped(*make_batch("B2"))
    save_pruned_model(model, tmp_path)
    assert isinstance(load_pruned_model(tmp_path), PublishedClassifier)


def test_other_settings_and_families_are_refused(make_classifier):
    with pytest.raises(InputError, match="as_published is not allowed .*; allowed: mode manual and score relative"):
        PruningSettings(variant="as_published")
    with pytest.raises(InputError, match="family bert; allowed: longformer"):
        make_pruned(make_classifier("bert"), PruningSettings(**PUBLISHED, final=0.1))
