"""Lists the files that the jobs of a run write, with the settings of each; works without torch and Snakemake."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sparse_attention.files.segments import block_size_of
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.predictors.registry import discover
from sparse_attention.settings import grids
from sparse_attention.settings.grids import PredictorJob
from sparse_attention.settings.paths import PRUNED, RUN
from sparse_attention.settings.plan import Plan
from sparse_attention.settings.sparse_points import EVALUATED, EXPORTED, FINETUNED, SparseJob

_OF_TEXT = {"documents_of_text", "blocks_of_text", "model_evaluation", "model_sparsity", "model_training"}
_OF_SUPPORTS = {"gold", "curves", "evaluations", "block_evaluations", "documents", "offsets", "buckets", "common",
                "maps", "attention_timings"}  # fmt: skip
_OF_CODE = {"code", "code_intake", "text_baselines", "code_tokens"}
_OF_PRUNING = {"predictions", "kept", "thresholds", "pruning_training", "timings"}
_OF_SPARSE_MLM = {"full_mlm_losses", "sparse_mlm_losses", "sparse_mlm_heads"}
_OF_FINETUNED = {"finetuned_full_mlm_losses", "finetuned_mlm_losses", "finetuned_mlm_heads"}
KINDS = _OF_TEXT | _OF_SUPPORTS | _OF_SPARSE_MLM | _OF_FINETUNED | _OF_CODE | _OF_PRUNING | {"deviations"}
"""The kinds of files that tables are made from; a run has only those of its stages."""


class Results:
    """The files of a run that tables, the report or a user need."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def _place(self, run: Mapping[str, Any]) -> str:
        return RUN.format(**self.plan.context, **run)

    def _of_jobs(
        self, stage: str, jobs: Iterable[PredictorJob], runs: Iterable[dict[str, Any]] | None = None
    ) -> FileList:
        """Return the files of one stage of predictor jobs, in the order of jobs and runs, by default of all runs."""
        runs = self.plan.runs if runs is None else runs
        return FileList.of(
            {
                f"results/{stage}/{self._place(run)}/{job.projection}/{job.predictor}/{job.point}.tsv": {
                    "predictor": job.predictor,
                    **discover()[job.predictor].facts,
                    "projection": job.projection,
                    **run,
                }
                for job in jobs
                for run in runs
            }
        )

    def _of_models(self, name: str) -> FileList:
        return FileList.of({f"results/models/{self._place(run)}/{name}.tsv": run for run in self.plan.trained})

    @functools.cached_property
    def files(self) -> dict[str, FileList]:
        """The files of each of `KINDS` that the run writes."""
        plan = self.plan
        fitted = [{"projection": name, **run} for name in plan.fitted for run in plan.runs]
        curves = {f"results/projections/{self._place(run)}/{run['projection']}/curves.tsv": run for run in fitted}
        on_blocks = [job for job in plan.jobs if block_size_of(job.projection) > 1]
        found = {
            "gold": FileList.of({f"results/gold/{self._place(run)}/validation.tsv": run for run in plan.runs}),
            "evaluations": self._of_jobs("predictors", plan.jobs),
            **{stage: self._of_jobs(stage, plan.jobs) for stage in ("documents", "offsets")},
        }
        if not plan.from_dump:
            found |= self._files_of_text()
        if curves:
            found["curves"] = FileList.of(curves)
        if on_blocks:
            found["block_evaluations"] = self._of_jobs("predictors", on_blocks)
        if plan.quantizing:
            found |= {stage: self._of_jobs(stage, plan.quantizing) for stage in ("buckets", "common")}
        if plan.sparse[EVALUATED]:
            found |= self._files_of_sparse_mlm()
        if plan.mapped:
            found["maps"] = self._of_jobs("maps", plan.mapped, plan.first_runs)
        if plan.config["time_attention"]:
            # more seeds would not change the time
            timed = {f"results/timings/{self._place(run)}.tsv": run for run in plan.first_runs}
            found["attention_timings"] = FileList.of(timed)
        if plan.config["deviations"]:
            found["deviations"] = FileList.of({f"results/deviations/{self._place(run)}.tsv": run for run in plan.runs})
        if plan.code:
            found |= self.files_of_code
        return found

    def _files_of_text(self) -> dict[str, FileList]:
        folder = f"results/data/{self.plan.config['corpus']}"
        return {
            "documents_of_text": FileList([f"{folder}/statistics.tsv"], [{}]),
            "blocks_of_text": FileList([f"{folder}/{self.plan.config['model']}/statistics.tsv"], [{}]),
            **{f"model_{name}": self._of_models(name) for name in ("evaluation", "sparsity", "training")},
        }

    def _files_of_sparse_mlm(self) -> dict[str, FileList]:
        plan, steps = self.plan, {"steps": (self.plan.config[FINETUNED] or {}).get("steps", 0)}
        evaluated = {folder: run for folder, run, _ in self._sparse(EVALUATED)}
        finetuned = {
            f"{folder}/finetuned/{single}": {**run, **steps} for folder, run, single in self._singles(FINETUNED)
        }
        full = {f"results/sparse_mlm/{self._place(run)}/full": run for run in plan.trained}
        control = {f"results/sparse_mlm/{self._place(run)}/full/finetuned": {**run, **steps} for run in plan.runs}
        found = {"full_mlm_losses": _tables(full, "losses")}
        found |= {f"sparse_mlm_{name}": _tables(evaluated, name) for name in ("losses", "heads")}
        if finetuned:
            found |= {f"finetuned_mlm_{name}": _tables(finetuned, name) for name in ("losses", "heads")}
            found["finetuned_full_mlm_losses"] = _tables(control, "losses")
        return found

    def _sparse(self, section: str) -> Iterator[tuple[str, dict[str, Any], SparseJob]]:
        """Yield the folder, the facts and the job of the points of a section, for each run of the language model."""
        for job in self.plan.sparse[section]:
            for run in self.plan.runs:
                folder = f"results/sparse_mlm/{self._place(run)}/{job.projection}/{job.predictor}/{job.point}"
                facts = {"predictor": job.predictor, **discover()[job.predictor].facts, "projection": job.projection}
                yield folder, {**facts, **run}, job

    def _singles(self, section: str) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield the folder of a job, its facts, and the segment of each single point."""
        for folder, facts, job in self._sparse(section):
            for single in job.singles:
                yield folder, facts, single

    @property
    def sparse_models(self) -> list[str]:
        """The folders of exported and of further trained models with their predictors."""
        exported = [
            f"{folder.replace('sparse_mlm', 'sparse_models', 1)}/{single}"
            for folder, _, single in self._singles(EXPORTED)
        ]
        return exported + [f"{folder}/finetuned/{single}/model" for folder, _, single in self._singles(FINETUNED)]

    @property
    def kernels(self) -> list[str]:
        """The files that say which kernel trained each language model; none where a dump takes its place."""
        plan = self.plan
        return [] if plan.from_dump else [f"results/models/{self._place(run)}/kernel.json" for run in plan.trained]

    @property
    def pruned(self) -> dict[str, dict[str, Any]]:
        """The pruning and the seed of each folder of a pruned classifier."""
        named = {"code": self.plan.config["code"], "classifier": self.plan.config["classifier"]}
        return {
            f"{PRUNED.format(**named, seed=seed)}/{name}": {"pruning": name, "seed": seed}
            for name in (self.plan.prunings if self.plan.code else ())
            for seed in self.plan.config["seeds"]
        }

    @functools.cached_property
    def files_of_code(self) -> dict[str, FileList]:
        """The files of those kinds that the classifiers of code make."""
        code, classifier = self.plan.config["code"], self.plan.config["classifier"]
        of_code = {"code": "statistics", "code_intake": "intake", "text_baselines": "text_baselines"}
        pruned = self.pruned
        evaluated = ["", *(["retrained/"] if self.plan.retrained else [])]
        soft = {path: run for path, run in pruned.items() if grids.has_soft_stage(self.plan.prunings[run["pruning"]])}
        dense = {
            f"{PRUNED.format(code=code, classifier=classifier, seed=seed)}/dense": {"pruning": "", "seed": seed}
            for seed in self.plan.config["seeds"]
        }
        stages = [
            (f"{folder}{part}", {"pruning": run["pruning"], "stage": stage, "seed": run["seed"]})
            for stage, part, runs in (("dense", "", dense), ("soft", "/soft", soft), ("hard", "/hard", pruned))
            for folder, run in runs.items()
        ]
        return {
            **{name: FileList([f"results/code/{code}/{file}.tsv"], [{"code": code}]) for name, file in of_code.items()},
            "code_tokens": FileList([f"results/pruning/{code}/{classifier}/statistics.tsv"], [{}]),
            **{
                name: FileList.of(
                    {f"{path}/{part}{name}.tsv": run for path, run in pruned.items() for part in evaluated}
                )
                for name in ("predictions", "kept")
            },
            "thresholds": FileList.of({f"{folder}/soft/thresholds.tsv": run for folder, run in soft.items()}),
            "pruning_training": FileList.of({f"{folder}/training.tsv": run for folder, run in stages}),
            "timings": FileList.of(
                {f"{folder.replace('pruning', 'timings', 1)}.tsv": run for folder, run in pruned.items()}
            ),
        }

    @property
    def centroids(self) -> list[str]:
        """The files of centroids in the format of the original code, which no other job reads."""
        return [
            f"results/centroids/{self._place(run)}/{projection}/{clustering}/centroids.pt"
            for run in self.plan.runs
            for projection in self.plan.projections
            for clustering in self.plan.clusterings
        ]

    @property
    def pages(self) -> list[str]:
        """The pages that show which tokens survive."""
        return [f"{folder}/tokens.html" for folder in self.pruned]

    @property
    def exported(self) -> list[str]:
        """The files of pruned data sets; none where the classifiers themselves are not made or taken."""
        made = self.plan.adds_code or not self.plan.only_tables
        wanted = self.pruned if self.plan.config["export_pruned"] and made else ()
        return [f"{folder}/export/functions.parquet" for folder in wanted]


def _tables(folders: Mapping[str, dict[str, Any]], name: str) -> FileList:
    """Return the tables of one name in folders, with the facts of each."""
    return FileList.of({f"{folder}/{name}.tsv": facts for folder, facts in folders.items()})
