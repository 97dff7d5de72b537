"""Quirks in fitting projections, in gold supports, and in the choice of examples for evaluation.

The first line of each function says what the published code does.
"""

from __future__ import annotations

from collections.abc import Collection

import torch

from sparse_attention.as_published import fitting, measures
from sparse_attention.deviations.comparing import Comparison, Values
from sparse_attention.deviations.samples import Sample

CONTROL, TOGETHER = "another_seed", "all_of_fitting"
"""Names of two further comparisons: only the seed differs; all quirks of fitting together."""


def single(comparison: Comparison) -> None:
    """Fit projections with one quirk at a time, and then with all quirks of fitting."""
    train, right = comparison.train, comparison.projections
    comparison.compare_fits(CONTROL, right, comparison.fit(train, seed=comparison.seed + 1))
    for quirk in ("initialisation", "trained_bias", "doubled_updates", "fixed_order"):
        comparison.compare_fits(quirk, right, comparison.fit(train, {quirk}))
    comparison.compare_fits(TOGETHER, right, comparison.fit(train, fitting.ALL))


def accumulation(comparison: Comparison) -> None:
    """Let gradients that are left over at the end of an epoch go into the first step of the next one.

    The accumulation is one batch less than an epoch has, so that one batch is left over.
    """
    batches = -(-comparison.train.info.examples // comparison.options.batch_size)
    if batches > 2:
        quirk, most = "spilled_gradients", batches - 1
        right, wrong = (comparison.fit(comparison.train, quirks, accumulation=most) for quirks in ((), {quirk}))
        comparison.compare_fits(quirk, right, wrong, f", accumulation~{most}")


def ragged(comparison: Comparison) -> None:
    """Sample negatives from padding, and from gold keys, in batches of examples of different lengths."""
    train, validation = comparison.train.ragged(), comparison.validation.ragged()
    right = comparison.fit(train)
    other = comparison.fit(train, seed=comparison.seed + 1)
    comparison.compare_fits(CONTROL, right, other, ", ragged", validation)
    for quirk in ("negatives_by_rank", "positives_as_negatives"):
        shares = (negatives(comparison, train, quirks) for quirks in ((), {quirk}))
        comparison.compare(quirk, "negatives, ragged", *shares)
        comparison.compare_fits(quirk, right, comparison.fit(train, {quirk}), ", ragged", validation)


def causal(comparison: Comparison) -> None:
    """Sample negatives from later keys, which a query of a decoder cannot attend to."""
    quirk, train = "negatives_by_rank", comparison.train.causal()
    comparison.compare(quirk, "negatives, causal", *(negatives(comparison, train, quirks) for quirks in ((), {quirk})))
    right, wrong = (comparison.fit(train, quirks) for quirks in ((), {quirk}))
    other, validation = comparison.fit(train, seed=comparison.seed + 1), comparison.validation.causal()
    comparison.compare_fits(CONTROL, right, other, ", causal", validation)
    comparison.compare_fits(quirk, right, wrong, ", causal", validation)


def negatives(comparison: Comparison, sample: Sample, quirks: Collection[str]) -> Values:
    """Return the share of sampled negatives that the query cannot attend to, and the share that are gold keys."""
    generator = torch.Generator().manual_seed(comparison.seed)
    counts = torch.zeros(3, dtype=torch.float64)
    for layer in range(sample.info.layers):
        examples, whole = range(sample.info.examples), {"negatives_by_rank"}
        for batch in fitting.batches(sample.pairs(), layer, examples, comparison.options, whole):
            chosen = fitting.sample_negatives(batch.positives, batch.valid, generator, quirks)
            wrong = chosen & ~batch.valid.unsqueeze(1), chosen & batch.positives
            counts += torch.stack([mask.sum() for mask in (chosen, *wrong)])
    return dict(zip(("invalid_share", "gold_share"), (counts[1:] / counts[0]).tolist(), strict=True))


def rescaling(comparison: Comparison) -> None:
    """Multiply queries by sqrt(head_dim) although they are not scaled, and evaluate on the model's own queries."""
    quirk = "rescaled_queries"
    gold, rescaled = (
        x.gold_sparsity() for x in (comparison.validation, comparison.validation.changed(measures.rescaled))
    )
    comparison.compare(quirk, "gold support", {"sparsity": gold}, {"sparsity": rescaled})
    wrong = comparison.fit(comparison.train.changed(measures.rescaled))
    comparison.compare_fits(quirk, comparison.projections, wrong)


def symmetry(comparison: Comparison) -> None:
    """Overwrite the probability of a pair where that of the mirrored pair is positive.

    Measured is the share of the attention that stays at its pair.
    """
    left, sample = [], comparison.validation
    for layer in range(sample.info.layers if sample.square else 0):
        for example, gold in zip(sample.qk.examples(layer), sample.gold.examples(layer), strict=True):
            mirrored = measures.symmetrised(gold.dense(), example.valid)
            left.append(float(mirrored[gold.support].sum() / gold.probabilities.sum()))
    if left:
        published = {"mass": sum(left) / len(left)}
        comparison.compare("overwritten_probabilities", "gold support", {"mass": 1.0}, published)


def leak(comparison: Comparison) -> None:
    """Evaluate projections on the examples that they were fitted on."""
    right, wrong = (comparison.quality(comparison.projections, x) for x in (comparison.validation, comparison.train))
    for subject, values in right.items():
        comparison.compare("evaluated_on_train", subject, values, wrong[subject])
