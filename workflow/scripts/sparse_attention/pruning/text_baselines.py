"""Baselines without a neural network: the share of label 1 in training, and a bag of words."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparse_attention.data.code.functions import Function
from sparse_attention.metrics.classification import classification_metrics

logger = logging.getLogger(__name__)

TOKEN = r"\w+|[^\w\s]"
INVERSE_STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse strengths of the regularisation, of which the loss on validation chooses one."""


def text_baselines(functions: Sequence[Function], seed: int = 0) -> pd.DataFrame:
    """Evaluate the baselines on validation and test.

    Parameters
    ----------
    functions : sequence of Function
        Functions of all three splits. The classifiers are fitted on train, the regularisation is chosen by the loss on
        validation, and test is only evaluated.
    seed : int
        Seed of the solver.

    Returns
    -------
    DataFrame
        Columns classifier, split, functions, positive (number of functions of label 1), and the metrics of
        `classification_metrics`.
    """
    parts = {
        split: [function for function in functions if function.split == split]
        for split in ("train", "validation", "test")
    }
    labels = {split: np.array([function.label for function in part]) for split, part in parts.items()}
    share = float(labels["train"].mean())
    predicted: dict[str, dict[str, np.ndarray]] = {
        "majority": {split: np.full(len(labels[split]), share) for split in parts},
        "tf-idf": bag_of_words({split: [f.source for f in part] for split, part in parts.items()}, labels, seed),
    }
    rows = []
    for name, probabilities in predicted.items():
        for split in ("validation", "test"):
            measured = classification_metrics(labels[split], probabilities[split])
            counts = {"functions": len(labels[split]), "positive": int(labels[split].sum())}
            rows.append({"classifier": name, "split": split, **counts, **measured})
    return pd.DataFrame(rows)


def bag_of_words(texts: dict[str, list[str]], labels: dict[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """Return probabilities of label 1 from logistic regression over TF-IDF of tokens and pairs of tokens.

    Parameters
    ----------
    texts : dict
        Texts by split, with at least train and validation.
    labels : dict
        Labels by split, int ``(texts,)``, 0 or 1.
    seed : int
        Seed of the solver.

    Returns
    -------
    dict
        Probabilities by split, float64 ``(texts,)``.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from threadpoolctl import threadpool_limits

    vectorizer = TfidfVectorizer(token_pattern=TOKEN, lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = {"train": vectorizer.fit_transform(texts["train"])}
    features |= {split: vectorizer.transform(texts[split]) for split in texts if split != "train"}
    with threadpool_limits(1):  # sums depend on the number of threads
        fitted = [
            LogisticRegression(C=strength, max_iter=1000, random_state=seed).fit(features["train"], labels["train"])
            for strength in INVERSE_STRENGTHS
        ]
    losses = [log_loss(labels["validation"], model.predict_proba(features["validation"])) for model in fitted]
    best = int(np.argmin(losses))
    text = "tf-idf: inverse strength C = %g has the lowest validation loss; losses of %s: %s"
    logger.info(text, INVERSE_STRENGTHS[best], INVERSE_STRENGTHS, np.round(losses, 3))
    return {split: fitted[best].predict_proba(features[split])[:, 1] for split in texts}
