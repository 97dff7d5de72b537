# Where the keys of a few tokens lie, in full attention and as a predictor says, in one example. The blocks and the
# tokenizer give the texts of the tokens; with a dump there are neither, and positions stand for them.
TOKEN_TEXTS = {} if PLAN.from_dump else {**BLOCKS, "model": f"results/models/{RUN}/model"}


rule map_attention:
    input:
        **PREDICTOR_INPUTS,
        **TOKEN_TEXTS,
    output:
        map=f"results/maps/{POINT}.tsv",
    log:
        log_of("map_attention", POINT),
    benchmark:
        benchmark_of("map_attention", POINT)
    conda:
        "../envs/map_attention.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **growing(mem_mb=2000, runtime=60),
        gpu=GPU,
    params:
        **PREDICTOR_PARAMS,
        code=lambda wildcards: code("map_attention", discover()[wildcards.predictor].plugin),
        # not its list of predictors, so that one more re-runs no job of the others
        asked={name: config["map_attention"][name] for name in ("example", "tokens", "sparsity")},
    message:
        "Mapping the attention of {wildcards.predictor}, {wildcards.point}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/map_attention.py"
