"""Finds the sources and jobs of a run from its configuration; works without torch and Snakemake."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

from sparse_attention.files.segments import block_size_of
from sparse_attention.predictors.registry import discover
from sparse_attention.settings import grids, starting
from sparse_attention.settings.config import Source, bundle, imported, selected_dataset
from sparse_attention.settings.grids import PredictorJob
from sparse_attention.settings.paths import PRUNED, RUN
from sparse_attention.settings.sparse_points import EVALUATED, SECTIONS, SparseJob, sparse_jobs

Input = str | list[str]
"""The result of an input function: the pattern of a path, or an empty list for no file."""


class Plan:
    """The sources and jobs of a run.

    Parameters
    ----------
    config : dict
        The whole configuration, which has been validated.
    datasets : dict
        The entries of the registry of data sets by name.

    Attributes
    ----------
    text, model, code, classifier : Source or None
        The sources to retrieve. With a dump there is no text and no model; their names are only labels then.
    bundle : Source or None
        The archived results that the run starts from.
    adds_code : bool
        Whether the run trains classifiers of code beside the tables of a bundle that was made without any.
    imported : dict of str to Source
        The user's own results to import.
    projections, clusterings, prunings : dict
        Settings by path segment.
    jobs : list of PredictorJob
        The evaluation jobs of one run of the language model.
    sparse : dict of str to list of SparseJob
        By section of the configuration, the points at which one run of the language model is evaluated, trained further
        and exported under predicted attention; none with a dump, which comes without a model.
    runs, trained : list of dict
        `attention` and `seed` of the language models with a support to predict, and of all language models.
    """

    def __init__(self, config: dict[str, Any], datasets: dict[str, Any]) -> None:
        self.config = config
        self.from_dump = config["extract_qk"]["source"] is not None

        def selected(kind: str, wanted: bool) -> Source | None:
            return selected_dataset(config, datasets, kind) if wanted else None

        self.text, self.model = (selected(kind, not self.from_dump) for kind in ("corpus", "model"))
        self.code, self.classifier = (selected(kind, bool(config["code"])) for kind in ("code", "classifier"))
        self.bundle = bundle(config, datasets)
        self.adds_code = starting.adds_code(config, Path())
        self.imported = imported(config)
        self.projections = grids.projections(config)
        self.jobs = grids.predictor_jobs(config)
        self.sparse = {section: [] if self.from_dump else sparse_jobs(config, section) for section in SECTIONS}
        self.clusterings = grids.clusterings([*self.jobs, *itertools.chain(*self.sparse.values())])
        self.prunings = grids.prunings(config)
        self.runs = self._runs(grids.entmax_attentions(config))
        self.trained = self._runs(config["attentions"])

    def _runs(self, attentions: list[str]) -> list[dict[str, Any]]:
        return [{"attention": attention, "seed": seed} for attention in attentions for seed in self.config["seeds"]]

    @property
    def context(self) -> dict[str, str]:
        """The names of corpus and model, which figures and the report show."""
        return {"corpus": self.config["corpus"], "model": self.config["model"]}

    @property
    def retrieved(self) -> dict[tuple[str, str], Source]:
        """Every source of the run by name and version."""
        sources = (self.text, self.model, self.code, self.classifier, self.bundle, *self.imported.values())
        return {(source.name, source.version): source for source in sources if source}

    @property
    def only_tables(self) -> bool:
        """Whether the run starts from published tables or from what they are made of."""
        return self.bundle is not None and self.config["start_from"]["stage"] in ("predictors", "tables")

    @property
    def documented(self) -> list[str]:
        """The receipts that the manifest describes; a bundle stands for the sources of what is in it."""
        if not self.bundle:
            return [source.receipt for source in self.retrieved.values()]
        added = (self.code, self.classifier) if self.adds_code else ()
        return [source.receipt for source in (self.bundle, *added) if source]

    @property
    def selected(self) -> dict[str, str]:
        """The receipt behind each selected name, by the kind and the name, such as `corpus wiki`."""
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
        """The jobs with a predictor that puts queries and keys into buckets."""
        return [job for job in self.jobs if discover()[job.predictor].quantizes]

    @property
    def mapped(self) -> list[PredictorJob]:
        """The jobs whose predictor `map_attention` lists; those on blocks only of a predictor that has no others."""
        asked = (self.config["map_attention"] or {}).get("predictors", ())
        found = []
        for name in asked:
            jobs = [job for job in self.jobs if job.predictor == name]
            found += [job for job in jobs if block_size_of(job.projection) == 1] or jobs
        return found

    @property
    def first_runs(self) -> list[dict[str, Any]]:
        """The runs with the first seed, for what more seeds would only repeat."""
        return [run for run in self.runs if run["seed"] == self.config["seeds"][0]]

    @property
    def retrained(self) -> bool:
        """Whether a classifier is trained on each pruned data set."""
        return bool(self.config["export_pruned"] and self.config["export_pruned"]["retrain"])

    @property
    def fitted(self) -> list[str]:
        """The projections that this run fits; empty when projections are imported."""
        if self.config["fit_projections"]["source"]:
            return []
        return [name for name, setting in self.projections.items() if setting["kind"] != "none"]

    @property
    def preflight(self) -> str:
        """The sizes of the grids as a line to show before any job starts."""
        config, runs = self.config, len(self.runs)
        if self.only_tables:
            start = config["start_from"]
            line = f"starting from the stage {start['stage']} of {start.get('dataset') or start.get('path')}"
            return line + f"; classifiers of {config['code']} are added" * self.adds_code
        extras = len(config["evaluate"]["windows"]) * len(config["evaluate"]["keep"])
        line = (
            f"{config['corpus']}, {config['model']}: {runs * sum(job.points for job in self.jobs)} grid points, each "
            f"with {extras} settings of window and kept tokens, in {runs * len(self.jobs)} evaluation jobs"
        )
        points = runs * sum(len(job.points) for job in self.sparse[EVALUATED])
        line += f"; the language model under predicted attention at {points} points" if points else ""
        if self.too_long:
            lengths = " and ".join(map(str, self.too_long))
            line += f"; attention is not timed at {lengths} tokens, which extract_qk.examples.validation do not fill"
        return line

    @property
    def too_long(self) -> list[int]:
        """The lengths of `time_attention` that the validation examples cannot fill; with a dump they are not known."""
        config = self.config
        held = config["extract_qk"]["examples"]["validation"] * config["blocks"]["length"]
        asked = (config["time_attention"] or {}).get("lengths", ())
        return [] if self.from_dump else [length for length in asked if length > held]

    def sparse_job_of(self, section: str, wildcards: Any) -> SparseJob:
        """Return the job of a section that `predictor`, `projection` and `point` name."""
        key = (wildcards.predictor, wildcards.projection, wildcards.point)
        return next(job for job in self.sparse[section] if job.key == key)

    def name_of_model(self, wildcards: Any) -> str:
        """Return the name of a language model for the card of an exported one."""
        return f"{wildcards.model} ({wildcards.attention}, {wildcards.corpus}, seed {wildcards.seed})"

    def job_of(self, wildcards: Any) -> PredictorJob:
        """Return the evaluation job that `predictor`, `projection` and `point` name."""
        return self._by_key[wildcards.predictor, wildcards.projection, wildcards.point]

    @functools.cached_property
    def _by_key(self) -> dict[tuple[str, str, str], PredictorJob]:
        return {job.key: job for job in self.jobs}

    def projections_of(self, wildcards: Any) -> Input:
        """Return the file of projections, or no file for a projection of kind none."""
        learned = self.projections.get(wildcards.projection, {"kind": "none"})["kind"] != "none"
        return f"results/projections/{RUN}/{{projection}}/projections.safetensors" if learned else []

    def centroids_of(self, wildcards: Any) -> Input:
        """Return the file of a job's centroids, or no file for a predictor without clusters."""
        needed = "clusters" in discover()[wildcards.predictor].needs
        return f"results/centroids/{RUN}/{{projection}}/{{point}}/centroids.safetensors" if needed else []

    def clusters_of(self, wildcards: Any) -> Input:
        """Return the file of the same centroids that can be had without extracted queries and keys."""
        checked = self.centroids_of(wildcards)
        return checked.replace("centroids.safetensors", "clusters.safetensors") if isinstance(checked, str) else checked

    def qk_train_of(self, wildcards: Any) -> Input:
        """Return the folder of the train split's queries and keys, or no file for a predictor that is not fitted."""
        return f"results/qk/{RUN}/train" if discover()[wildcards.predictor].fits else []

    def gold_train_of(self, wildcards: Any) -> Input:
        """Return the folder of the train split's gold support, or no file for a predictor that is not fitted."""
        return f"results/gold/{RUN}/train" if discover()[wildcards.predictor].fits else []

    def has_soft_stage(self, wildcards: Any) -> bool:
        """Return whether a pruning has a soft stage; one that keeps a share of tokens has none."""
        return grids.has_soft_stage(self.prunings[wildcards.pruning])

    def before_hard(self, wildcards: Any) -> str:
        """Return the model that the hard stage starts from."""
        return f"{PRUNED}/{{pruning}}/soft/model" if self.has_soft_stage(wildcards) else f"{PRUNED}/dense/model"

    def stages_of(self, wildcards: Any) -> dict[str, str]:
        """Return the model of each stage of a pruning."""
        stages = {"dense": f"{PRUNED}/dense/model", "hard": f"{PRUNED}/{{pruning}}/hard/model"}
        return stages | ({"soft": self.before_hard(wildcards)} if self.has_soft_stage(wildcards) else {})
