"""Grids become settings, path segments and jobs."""

from sparse_attention.settings import grids


def config(**predictors):
    return {
        "projections": [{"kind": "linear", "dim": [2, 4], "shared": True}, {"kind": "none"}],
        "predictors": predictors,
        "attentions": ["entmax~1.5", "softmax", "entmax~2"],
    }


def test_product_takes_single_values_and_lists():
    assert grids.product({"a": [1, 2], "b": "x"}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    assert grids.product({}) == [{}]


def test_projections_are_expanded_without_repeats():
    doubled = config()
    doubled["projections"] *= 2
    assert list(grids.projections(doubled)) == [
        "kind~linear_dim~2_shared~true",
        "kind~linear_dim~4_shared~true",
        "kind~none",
    ]


def test_jobs_split_on_what_is_fitted_and_sweep_the_rest():
    jobs = grids.predictor_jobs(config(kmeans={"clusters": [4, 8], "runs": 1, "top": [1, 2]}, window={"width": [1, 3]}))
    kmeans = [job for job in jobs if job.predictor == "kmeans"]
    assert {job.point for job in kmeans} == {"clusters~4_runs~1", "clusters~8_runs~1"}
    assert len(kmeans) == 2 * 3
    assert all(job.grid == {"top": [1, 2]} and job.points == 2 for job in kmeans)
    (window,) = [job for job in jobs if job.predictor == "window"]
    assert (window.projection, window.point, window.grid) == ("kind~none", "all", {"width": [1, 3]})


def test_a_predictor_that_is_turned_off_has_no_jobs():
    assert grids.predictor_jobs(config(window=None)) == []


def test_clusterings_come_from_the_predictors_that_need_them():
    study = config(kmeans={"clusters": [4], "runs": [1, 2], "top": 1}, cos={"threshold": 0.5})
    assert grids.clusterings(grids.predictor_jobs(study)) == {
        "clusters~4_runs~1": {"clusters": 4, "runs": 1},
        "clusters~4_runs~2": {"clusters": 4, "runs": 2},
    }


def test_attentions():
    assert grids.entmax_attentions(config()) == ["entmax~1.5", "entmax~2"]


def test_settings_that_differ_in_a_late_digit_have_two_segments():
    found = grids.prunings({"prunings": [{"mode": "topk", "final": [0.1234567, 0.1234568]}]})
    assert sorted(setting["final"] for setting in found.values()) == [0.1234567, 0.1234568]


SWEPT = {"mode": "threshold", "ramp": "zero_based", "final": 0.1, "lambda": [0.3, 0.0, 1e-5]}


def test_prunings_that_differ_in_lambda_only_are_found():
    entries = [SWEPT, {**SWEPT, "target": 0.5, "lambda": [0.1, 1.0]}, {**SWEPT, "ramp": "one_based", "lambda": 0.1}]
    entries += [{"mode": "topk", "final": [0.1, 0.2], "lambda": [0.0, 0.1]}]
    found = grids.prunings({"prunings": entries})
    sweeps = grids.lambda_sweeps(found)
    assert [list(sweep) for sweep in sweeps.values()] == [[0.0, 1e-5, 0.3], [0.1, 1.0]]
    for rest, sweep in sweeps.items():
        for weight, name in sweep.items():
            setting = found[name]
            assert setting["lambda"] == weight and "lambda" not in rest
            assert setting["target"] == (0.5 if "target" in rest else None) and setting["ramp"] == "zero_based"


def test_a_single_lambda_is_not_a_sweep():
    assert grids.lambda_sweeps(grids.prunings({"prunings": [{**SWEPT, "lambda": 0.3}]})) == {}
    assert grids.lambda_sweeps([]) == {}
