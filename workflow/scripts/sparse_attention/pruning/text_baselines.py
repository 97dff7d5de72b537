"""What classifiers without a neural network reach: the more frequent label, and a bag of words."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparse_attention.data.code.functions import Function
from sparse_attention.metrics.classification import classification_metrics

logger = logging.getLogger(__name__)

TOKEN = r"\w+|[^\w\s]"
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # inverse strengths of the regularisation that validation chooses from


def text_baselines(functions: Sequence[Function], seed: int = 0) -> pd.DataFrame:
    """Evaluate the baselines on validation and test.

    Parameters
    ----------
    functions : sequence of Function
        Of all three splits. Training sees train, the strength of the regularisation is chosen by the loss on
        validation, and test is only measured.
    seed : int
        Of the solver.

    Returns
    -------
    DataFrame
        classifier, split, functions, positive, and the metrics of `classification_metrics`.
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
    """Return probabilities of label 1 by split: logistic regression over TF-IDF of tokens and pairs of tokens."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    vectorizer = TfidfVectorizer(token_pattern=TOKEN, lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = {"train": vectorizer.fit_transform(texts["train"])}
    features |= {split: vectorizer.transform(texts[split]) for split in texts if split != "train"}
    fitted = [
        LogisticRegression(C=strength, max_iter=1000, random_state=seed).fit(features["train"], labels["train"])
        for strength in STRENGTHS
    ]
    losses = [log_loss(labels["validation"], model.predict_proba(features["validation"])) for model in fitted]
    best = int(np.argmin(losses))
    logger.info("tf-idf: C %g chosen of %s, validation losses %s", STRENGTHS[best], STRENGTHS, np.round(losses, 3))
    return {split: fitted[best].predict_proba(features[split])[:, 1] for split in texts}
