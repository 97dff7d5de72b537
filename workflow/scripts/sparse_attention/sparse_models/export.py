"""Export a model with its predictors: the folder, its tokenizer and its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from sparse_attention.files.atomic import atomic_path
from sparse_attention.models.hub import copy_tokenizer
from sparse_attention.predictors.registry import discover
from sparse_attention.sparse_models.prediction import PredictedAttention

CARD = """---
library_name: transformers
pipeline_tag: fill-mask
---
# {name} with attention predicted by: {label}

Every layer of this masked language model attends only to the keys that a predictor chooses before any score is
computed. `config.json` and the weights are those of the model; the folder `predictor` holds the predictor.

{rows}

Open it from a clone of the workflow, after `pip install -e .`:

```python
from sparse_attention.sparse_models.folder import load_sparse_model

model = load_sparse_model("path/to/this/folder")
model.set_attn_implementation("sparse_attention")            # attention to all keys
model.set_attn_implementation("predicted_sparse_attention")  # the predicted one again
```

Opened by transformers alone, the folder is an ordinary model with softmax attention, for which it was not trained.
{paper}"""


def export(
    model: PreTrainedModel,
    predicted: PredictedAttention,
    source: Path | str,
    folder: Path,
    name: str,
    facts: Mapping[str, Any] = {},
) -> None:
    """Write a folder that `load_sparse_model` opens.

    Parameters
    ----------
    model : PreTrainedModel
        Made by `make_sparse` with `predicted`.
    predicted : PredictedAttention
        Its predictors.
    source : Path or str
        A model folder with the tokenizer of the model.
    folder : Path
        Where to write.
    name : str
        Name of the model in its card.
    facts : mapping
        What the card says of the model besides its predictor.
    """
    model.save_pretrained(folder)
    copy_tokenizer(source, folder)
    with atomic_path(folder / "README.md") as partial:
        partial.write_text(card_of(predicted, name, facts), encoding="utf-8")


def card_of(predicted: PredictedAttention, name: str, facts: Mapping[str, Any]) -> str:
    """Return the card of a model in Markdown."""
    first, point = predicted.predictors[0], predicted.point
    info = discover()[first.name]
    setting = {**first.context.fixed, **point.setting}
    shown = {**facts, "predictor": first.name, **setting, **point.extras, "block_size": predicted.block_size}
    rows = "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in shown.items())])
    paper = f"\nThe predictor follows: {info.paper}\n" if info.paper else ""
    return CARD.format(name=name, label=info.label or first.name, rows=rows, paper=paper)
