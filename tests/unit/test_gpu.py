"""What runs on a GPU gives what the CPU gives; skipped where there is none."""

import pytest
import torch

from sparse_attention.attention.entmax import entmax, probabilities
from sparse_attention.models.attention import Attention
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.projection_fitting import sample_negatives

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
