"""Options of jobs are made of the configuration's own sections."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
import yaml

from sparse_attention.clusters.fitting import ClusterOptions
from sparse_attention.data.code.prepare import CodeOptions
from sparse_attention.data.prepare import PrepareOptions
from sparse_attention.data.splits import Shares
from sparse_attention.models.longformer import LongformerShape
from sparse_attention.projections.fitting import FitOptions
from sparse_attention.pruning.options import ClassifierOptions, SoftOptions, StageOptions
from sparse_attention.pruning.training import Stage
from sparse_attention.qk.options import ExtractOptions
from sparse_attention.training.options import Anneal, TrainOptions

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
SECTIONS = {
    "prepare": PrepareOptions,
    "prepare_code": CodeOptions,
    "train_mlm": TrainOptions,
    "train_classifier": ClassifierOptions,
    "prune_soft": SoftOptions,
    "prune_hard": StageOptions,
    "extract_qk": ExtractOptions,
    "fit_projections": FitOptions,
    "fit_clusters": ClusterOptions,
}
NESTED = {"split": Shares, "anneal": Anneal, "longformer": LongformerShape}


@pytest.mark.parametrize("name", SECTIONS)
def test_options_have_the_values_of_their_section(name):
    section, kind = CONFIG[name], SECTIONS[name]
    options = kind.of(section)
    assert set(section) - {field.name for field in fields(kind)} <= {"source"}
    for field in fields(kind):
        given = section[field.name]
        assert getattr(options, field.name) == (NESTED[field.name](**given) if field.name in NESTED else given)


def test_keys_for_other_jobs_are_ignored_and_missing_keys_raise_an_error():
    shares = {"train": 0.5, "validation": 0.3, "test": 0.2, "seed": 4}
    assert Shares.of(shares | {"other": 1}) == Shares(0.5, 0.3, 0.2, 4)
    with pytest.raises(TypeError, match="seed"):
        Shares.of({name: share for name, share in shares.items() if name != "seed"})


def test_options_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrainOptions.of(CONFIG["train_mlm"]).steps = 0


def test_the_classifier_keeps_its_architecture_without_a_longformer():
    assert ClassifierOptions.of(CONFIG["train_classifier"] | {"longformer": None}).longformer is None
    assert ClassifierOptions.of(CONFIG["train_classifier"] | {"source": "mine"}).longformer is None
    assert ClassifierOptions.of(CONFIG["train_classifier"]).longformer is not None


def test_a_soft_stage_takes_the_thresholds_settings_of_its_section():
    given = {"hard_share": 0.25, "final_temperature": 1e-4, "threshold_learning_rate": 0.3}
    options = SoftOptions.of(CONFIG["prune_soft"] | given | {"threshold_weight_decay": 0.4})
    assert Stage.soft(options, 0.7) == Stage("soft", 0.7, 0.25, 1e-4, 0.3, 0.4)
