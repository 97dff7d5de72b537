"""Write the sentences on the language model under predicted attention."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sparse_attention.files.segments import parse_segment
from sparse_attention.plotting.predictor_styles import group_of, is_bound
from sparse_attention.predictors.registry import IGNORES_CONTENT
from sparse_attention.reporting.findings import TARGETS, format_level, format_number, percent
from sparse_attention.summaries.sparse_mlm_jobs import FULL
from sparse_attention.summaries.wording import count, kept_tokens, spell

NEAR = 1.5
"""Points are compared at a sparsity if they keep at most this many times more or fewer pairs than it says."""
SELF = {"width": 1}
"""The setting of a pattern in which every token sees only itself."""
SAME_POINT = ["predictor", "projection", "setting", "window", "keep"]


def language_model(table: pd.DataFrame) -> list[str]:
    """Name the predictor that costs least at a high sparsity, beside the bounds and full attention.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `sparse_mlm`.
    """
    sentences = []
    for start, models, rows in _by_attention(table):
        full = models.iloc[0]
        sentences.append(
            f"{start}With full attention the model has a loss of {format_number(full['loss'], full['loss_ci95'])} nats "
            f"per masked token (perplexity {format_number(full['perplexity'], digits=0)}) on "
            f"{count(full['blocks'], 'block')} of {count(full['documents'], 'document')} of the validation split."
        )
        rows = _untrained(rows)
        found = _compared(rows)
        if found is not None:
            sentences += _at_sparsity(*found, rows)
        elif len(real := rows[~is_bound(rows)]):
            best = _cheapest(real)
            at = percent(best["sparsity"])
            sentences.append(f"Of all points, {_named(best, rows)} costs least: {_cost(best)} at {at} sparsity.")
    return sentences


def details(table: pd.DataFrame) -> list[str]:
    """State the effects of seeing only oneself, of queries without keys, and of further training.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `sparse_mlm`.
    """
    sentences = []
    for start, full, rows in _by_attention(table):
        own = [
            *_only_itself(rows),
            *_changed_inputs(_untrained(rows)),
            *_empty_rows(rows),
            *_further_training(rows, full),
        ]
        sentences += [start + own[0], *own[1:]] if own else []
    return sentences


def _by_attention(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Return a prefix, the rows of full attention and the other rows of each attention that has other rows."""
    parts = [(str(name), own) for name, own in table.groupby("attention", sort=False)]
    parts = [(name, own) for name, own in parts if (own["predictor"] != FULL).any()]
    return [
        (
            f"For {spell(name)}: " if len(parts) > 1 else "",
            own[own["predictor"] == FULL].sort_values("finetuned", kind="stable"),
            own[own["predictor"] != FULL],
        )
        for name, own in parts
    ]


def _untrained(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without further training in which queries without keys stay without."""
    return rows[(rows["finetuned"] == 0) & ~rows["dense_empty_rows"]]


def _cheapest(rows: pd.DataFrame) -> pd.Series:
    """Return the row with the smallest increase, the first of equal ones."""
    return rows.iloc[int(rows["loss_increase"].to_numpy().argmin())]


def _compared(rows: pd.DataFrame) -> tuple[float, pd.DataFrame] | None:
    """Return a sparsity that at least two predictors come near, and the points near it, the cheapest first."""
    for at in TARGETS:
        ratio = (1 - rows["sparsity"]) / (1 - at)
        near = rows[(ratio <= NEAR) & (ratio >= 1 / NEAR)]
        if near.loc[~is_bound(near), "predictor"].nunique() > 1:
            return at, near.sort_values("loss_increase", kind="stable")
    return None


def _at_sparsity(at: float, near: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    real = near[~is_bound(near)]
    best = real.iloc[0]
    second = real[real["predictor"] != best["predictor"]].iloc[0]
    sentences = [
        f"At about {format_level(at)} sparsity {_named(best, rows)} costs the model least: {_cost(best)} at "
        f"{percent(best['sparsity'])}, which makes the perplexity {format_number(best['perplexity'], digits=0)}. "
        f"Next is {_named(second, rows)} with {format_number(second['loss_increase'])} at "
        f"{percent(second['sparsity'])}{_same(best, second)}."
    ]
    words = {"upper": "choosing the keys by their true scores", "lower": "choosing pairs at random"}
    for kind, text in words.items():
        bounds = near[near["bound"] == kind]
        if bounds.empty:
            continue
        bound = bounds.iloc[(bounds["sparsity"] - best["sparsity"]).abs().argsort(kind="stable").iloc[0]]
        gap = bound["loss_increase"] - best["loss_increase"]
        verdict = f"{format_number(abs(gap))} {'more' if gap > 0 else 'less'} than {best['label']}"
        sentences.append(
            f"There, {text} ({bound['label']}, {percent(bound['sparsity'])} sparsity) costs "
            f"{format_number(bound['loss_increase'])} nats, {verdict if abs(gap) >= 0.005 else 'as much'}."
        )
    return sentences


def _same(best: pd.Series, second: pd.Series) -> str:
    """Return a remark if the 95 % intervals of two increases overlap."""
    if pd.isna(best["loss_increase_high"]) or best["loss_increase_high"] < second["loss_increase_low"]:
        return ""
    return "; their intervals overlap, so this run cannot rank them"


def _cost(row: pd.Series) -> str:
    """Return the increase with its interval: `0.32 nats more (95 % interval 0.31 to 0.34)`."""
    value = row["loss_increase"]
    text = f"{format_number(abs(value))} nats {'more' if value >= 0 else 'less'}"
    if pd.isna(row["loss_increase_low"]):
        return text
    low, high = (format_number(row[f"loss_increase_{end}"]) for end in ("low", "high"))
    return f"{text} (95\N{NO-BREAK SPACE}% interval {low} to {high})"


def _named(row: Any, among: pd.DataFrame) -> str:
    """Return the predictor of a row, with what tells the row from others of the predictor in `among`."""
    own = among[among["predictor"] == row["predictor"]]
    parts = [spell(row["setting"])] if len(own) > 1 and isinstance(row["setting"], str) else []
    parts += [spell(row["projection"])] if own["projection"].nunique() > 1 else []
    parts += [f"window {row['window']}"] if row["window"] else []
    parts += [words] if (words := kept_tokens(row["keep"])) else []
    return f"{row['label']} ({'; '.join(filter(None, parts))})" if any(parts) else str(row["label"])


def _only_itself(rows: pd.DataFrame) -> list[str]:
    """State what the model loses if every token sees only itself."""
    plain = rows[(rows["finetuned"] == 0) & (rows["window"] == 0) & (rows["keep"] == "none")]
    alone = [group_of(name) == IGNORES_CONTENT and parse_segment(setting) == SELF
             for name, setting in plain[["predictor", "setting"]].fillna("").itertuples(index=False)]  # fmt: skip
    return [
        f"If every token sees only itself (window of 1), the model loses {format_number(row['loss_increase'])} nats: "
        "so much does it owe to attention."
        for row in plain[alone].head(1).to_dict("records")
    ]


def _changed_inputs(rows: pd.DataFrame) -> list[str]:
    """Compare the mass recall on the current activations with that of the dense model's attention."""
    real = rows[~is_bound(rows) & rows["mass_recall_dense"].notna()]
    if real.empty:
        return []
    row = _cheapest(real)
    return [
        f"Errors of one layer reach the next: {_named(row, rows)} keeps {percent(row['mass_recall'])} of the attention "
        f"probability on the activations that reach each layer, and {percent(row['mass_recall_dense'])} of that of the "
        "model with full attention in all layers."
    ]


def _pairs(rows: pd.DataFrame, column: str, first: Any) -> list[tuple[Any, Any]]:
    """Return pairs of rows that differ only in a column: with the value `first`, and with another value."""
    others = [name for name in (*SAME_POINT, "dense_empty_rows", "finetuned") if name != column]
    before = {tuple(row[name] for name in others): row for row in rows[rows[column] == first].to_dict("records")}
    after = [(tuple(row[name] for name in others), row) for row in rows[rows[column] != first].to_dict("records")]
    return [(before[key], row) for key, row in after if key in before]


def _empty_rows(rows: pd.DataFrame) -> list[str]:
    """State what changes if queries without keys see all keys."""
    pairs = _pairs(rows[rows["finetuned"] == 0].fillna({"setting": ""}), "dense_empty_rows", False)
    if not pairs:
        return []
    some = [pair for pair in pairs if pair[0]["empty_queries"] > 0]
    if not some:
        return ["Letting queries without keys see all keys changes nothing: at the points compared there are none."]
    zero, dense = max(some, key=lambda pair: abs(pair[1]["loss_increase"] - pair[0]["loss_increase"]))
    change = dense["loss_increase"] - zero["loss_increase"]
    return [
        f"Letting queries without keys see all keys, as the published code does, changes the loss most for "
        f"{_named(zero, rows)}, where {percent(zero['empty_queries'])} of the queries have none: by "
        f"{change:+.2f} nats, from {format_number(zero['loss'])} to {format_number(dense['loss'])}. This hides what a "
        "support leaves out, because these queries count as sparse but are computed in full."
    ]


def _further_training(rows: pd.DataFrame, full: pd.DataFrame) -> list[str]:
    """State how much of the increase is gone after further training, beside full attention trained as long."""
    sentences = []
    for before, after in _pairs(rows.fillna({"setting": ""}), "finetuned", 0):
        lost, left = before["loss_increase"], after["loss_increase"]
        share = f" ({percent(1 - left / lost)} of it recovered)" if 0 <= left < lost else ""
        change = f"{format_number(left)} nats instead of {format_number(lost)}{share}"
        if format_number(left) == format_number(lost):
            change = f"{format_number(left)} nats as before"
        sentences.append(
            f"After {count(after['finetuned'], 'step')} of further training with its support, {_named(after, rows)} "
            f"has a loss of {format_number(after['loss'])} instead of {format_number(before['loss'])}. Over full "
            f"attention that is trained as long, it costs {change}."
        )
    trained = full[full["finetuned"] > 0]
    if sentences and len(trained):
        losses = [format_number(own["loss"].iloc[0]) for own in (full[full["finetuned"] == 0], trained)]
        sentences.append(f"Full attention itself goes from {losses[0]} to {losses[1]} in these steps.")
    return sentences
