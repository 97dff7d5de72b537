# Takes stages out of the bundle that the run starts from. These rules go before those that would compute the same files.
STAGE = config["start_from"]["stage"]
PUBLISHED = [table.path for name, table in TABLES.items() if not (PLAN.adds_code and name in MADE)]
# some figures are drawn from a table of a single job
DRAWN_FROM = [path for path in FIGURE_TABLES.values() if path and path not in PUBLISHED]
BESIDES = [] if PLAN.adds_code else [*DRAWN_FROM, "results/provenance/manifest.json"]
READ = {**{kind: files.paths for kind, files in RESULTS.files.items()}, "kernels": RESULTS.kernels}
TAKEN = {
    name: {"output": {"files": paths}, "place": ""}
    for name, paths in stages.files_taken(
        STAGE, READ, [] if PLAN.adds_code else RESULTS.pages, [*PUBLISHED, *BESIDES]
    ).items()
}
# by the name of its script, because a workflow that uses this one as a module may rename rules
COMPUTING = {Path(rule.script).stem: rule for rule in workflow.rules if rule.script}
TAKEN |= {name: declared_by(COMPUTING[name]) for name in stages.rules_until(STAGE) if name in COMPUTING}

for name, declared in TAKEN.items():

    rule:
        name:
            f"restore_{name}"
        input:
            bundle=PLAN.bundle.receipt,
        output:
            **declared["output"],
        log:
            log_of(f"restore_{name}", declared["place"]),
        benchmark:
            benchmark_of(f"restore_{name}", declared["place"])
        conda:
            "../envs/restore.yaml"
        resources:
            **growing(mem_mb=1000, runtime=60),
        params:
            code=code("restore"),
            stage=STAGE,
            settings=stages.settings_behind(config, STAGE),
            defaults=stages.settings_behind(starting.defaults(), STAGE),
        message:
            f"Taking {name} from the bundle"
        script:
            "../workflow/scripts/restore.py"


workflow.ruleorder(*(f"restore_{name}" for name in TAKEN), *COMPUTING)
