"""What a run is made of: its sources and jobs, from its configuration; free of torch and Snakemake."""

from __future__ import annotations

from typing import Any

from sparse_attention.predictors.registry import discover
from sparse_attention.settings import grids
from sparse_attention.settings.config import Source, imported, selected_dataset
from sparse_attention.settings.grids import PredictorJob
from sparse_attention.settings.paths import PRUNED, RUN

Input = str | list[str]
"""What an input function returns: the pattern of a path, or an empty list for no file."""


class Plan:
    """A run: what it starts from and which jobs it has.

    Parameters
    ----------
    config : dict
        The whole configuration, valid.
    datasets : dict
        The entries of the registry of data sets by name.

    Attributes
    ----------
    text, model, code, classifier : Source or None
        What is retrieved for each; a dump brings its own text and model, and their names are labels then.
    imported : dict of str to Source
        What a user brings of the results.
    projections, clusterings, prunings : dict
        Settings by path segment.
    jobs : list of PredictorJob
        The evaluation jobs of one run of the language model.
    runs, trained : list of dict
        `attention` and `seed` of the runs that have a support to predict, and of all language models.
    """

    def __init__(self, config: dict[str, Any], datasets: dict[str, Any]) -> None:
        self.config = config
        self.from_dump = config["extract_qk"]["source"] is not None

        def selected(kind: str, wanted: bool) -> Source | None:
            return selected_dataset(config, datasets, kind) if wanted else None

        self.text, self.model = (selected(kind, not self.from_dump) for kind in ("corpus", "model"))
        self.code, self.classifier = (selected(kind, bool(config["code"])) for kind in ("code", "classifier"))
        self.imported = imported(config)
        self.projections = grids.projections(config)
        self.jobs = grids.predictor_jobs(config)
        self.clusterings = grids.clusterings(config)
        self.prunings = grids.prunings(config)
        self.runs = self._runs(grids.entmax_attentions(config))
        self.trained = self._runs(config["attentions"])

    def _runs(self, attentions: list[str]) -> list[dict[str, Any]]:
        return [{"attention": attention, "seed": seed} for attention in attentions for seed in self.config["seeds"]]

    @property
    def context(self) -> dict[str, str]:
        """The names that figures and the report state."""
        return {"corpus": self.config["corpus"], "model": self.config["model"]}

    @property
    def retrieved(self) -> dict[tuple[str, str], Source]:
        """Every source of the run by name and version."""
        sources = (self.text, self.model, self.code, self.classifier, *self.imported.values())
        return {(source.name, source.version): source for source in sources if source}

    @property
    def selected(self) -> dict[str, str]:
        """The receipt that everything below one folder of results is made from, by what the folder is of."""
        config = self.config
        sources = {
            f"corpus {config['corpus']}": self.text or self.imported.get("dump") or self.imported.get("train"),
            f"model {config['corpus']}/{config['model']}": self.model,
            f"code {config['code']}": self.code,
            f"classifier {config['code']}/{config['classifier']}": self.classifier,
        }
        return {name: source.receipt for name, source in sources.items() if source}

    @property
    def quantizing(self) -> list[PredictorJob]:
        """The jobs whose predictor puts queries and keys into buckets."""
        return [job for job in self.jobs if discover()[job.predictor].quantizes]

    @property
    def fitted(self) -> list[str]:
        """The projections that are fitted here, not imported."""
        if self.config["fit_projections"]["source"]:
            return []
        return [name for name, setting in self.projections.items() if setting["kind"] != "none"]

    def job_of(self, wildcards: Any) -> PredictorJob:
        """Return the evaluation job that `predictor`, `projection` and `point` name."""
        key = (wildcards.predictor, wildcards.projection, wildcards.point)
        return next(job for job in self.jobs if (job.predictor, job.projection, job.point) == key)

    def projections_of(self, wildcards: Any) -> Input:
        """Return the file of the projections; none where queries and keys stay as they are."""
        learned = self.projections.get(wildcards.projection, {"kind": "none"})["kind"] != "none"
        return f"results/projections/{RUN}/{{projection}}/projections.safetensors" if learned else []

    def centroids_of(self, wildcards: Any) -> Input:
        """Return the file of the centroids of a job; none for predictors without clusters."""
        needed = "clusters" in discover()[wildcards.predictor].needs
        return f"results/centroids/{RUN}/{{projection}}/{{point}}/centroids.safetensors" if needed else []

    def qk_train_of(self, wildcards: Any) -> Input:
        """Return the train split's queries and keys for a predictor that fits something itself."""
        return f"results/qk/{RUN}/train" if discover()[wildcards.predictor].fits else []

    def gold_train_of(self, wildcards: Any) -> Input:
        """Return the train split's gold support for a predictor that fits something itself."""
        return f"results/gold/{RUN}/train" if discover()[wildcards.predictor].fits else []

    def has_soft_stage(self, wildcards: Any) -> bool:
        """Tell whether a pruning has a soft stage; where a share of tokens is kept there is none."""
        return grids.has_soft_stage(self.prunings[wildcards.pruning])

    def before_hard(self, wildcards: Any) -> str:
        """Return the model that a hard stage starts from."""
        return f"{PRUNED}/{{pruning}}/soft/model" if self.has_soft_stage(wildcards) else f"{PRUNED}/dense/model"

    def stages_of(self, wildcards: Any) -> dict[str, str]:
        """Return the models of all stages of a pruning."""
        stages = {"dense": f"{PRUNED}/dense/model", "hard": f"{PRUNED}/{{pruning}}/hard/model"}
        return stages | ({"soft": self.before_hard(wildcards)} if self.has_soft_stage(wildcards) else {})
