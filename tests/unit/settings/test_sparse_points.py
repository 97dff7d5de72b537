"""The points at which language models run under predicted attention become jobs, paths and options."""

import pytest

from sparse_attention.files.segments import parse_segment
from sparse_attention.settings import sparse_points
from sparse_attention.settings.sparse_points import EVALUATED, FINETUNED


def config(points, **others):
    return {
        "projections": [{"kind": "linear", "dim": [2, 4], "shared": True}],
        EVALUATED: {"blocks": 3, "batch_size": 2, "points": points},
        "train_mlm": {"mask_probability": 0.2, "steps": 100, "learning_rate": 1.0, "compile": True},
        **others,
    }


DEFAULT = {"window": 0, "keep": "none", "dense_empty_rows": False}


def test_grids_are_combined_and_extras_have_defaults():
    (job,) = sparse_points.sparse_jobs(config({"window": [{"width": [1, 3], "keep": ["none", "cls"]}]}), EVALUATED)
    assert job.key == ("window", "kind~none", "all") and job.fixed == {}
    wanted = [{"width": width, **DEFAULT, "keep": keep} for keep in ("none", "cls") for width in (1, 3)]
    assert sorted(job.points, key=str) == sorted(wanted, key=str)


def test_points_with_the_same_fitted_settings_share_a_job():
    grids = [{"clusters": [4, 8], "runs": 1, "top": 1}, {"clusters": 4, "runs": 1, "top": 2, "window": 3}]
    jobs = sparse_points.sparse_jobs(config({"kmeans": grids}), EVALUATED)
    assert [(job.projection, job.point, len(job.points)) for job in jobs] == [
        ("kind~linear_dim~2_shared~true", "clusters~4_runs~1", 2),
        ("kind~linear_dim~4_shared~true", "clusters~4_runs~1", 2),
        ("kind~linear_dim~2_shared~true", "clusters~8_runs~1", 1),
        ("kind~linear_dim~4_shared~true", "clusters~8_runs~1", 1),
    ]
    assert jobs[0].fixed == {"clusters": 4, "runs": 1}


def test_repeated_points_and_predictors_that_are_off_are_left_out():
    points = {"window": [{"width": 1}, {"width": [1, 3]}], "oracle": None}
    (job,) = sparse_points.sparse_jobs(config(points), EVALUATED)
    assert [point["width"] for point in job.points] == [1, 3]


@pytest.mark.parametrize("section", [None, {"points": None}], ids=["section", "points"])
def test_without_points_there_are_no_jobs(section):
    assert sparse_points.sparse_jobs({**config({}), EVALUATED: section}, EVALUATED) == []


def test_a_single_point_has_a_segment_that_can_be_read_back():
    grids = [{"clusters": 4, "runs": 1, "top": 2, "window": 3, "keep": "cls+last", "dense_empty_rows": [False, True]}]
    job = sparse_points.sparse_jobs(config({"kmeans": grids}), EVALUATED)[0]
    assert list(job.singles) == [
        "top~2_window~3_keep~cls+last",
        "top~2_window~3_keep~cls+last_dense_empty_rows~true",
    ]
    for name, point in job.singles.items():
        assert {**DEFAULT, **parse_segment(name)} == point


def test_a_predictor_without_other_settings_has_a_segment_too():
    grids = [{"clusters": 4, "runs": 1, "membership": "all"}]
    job = sparse_points.sparse_jobs(config({"routing_kmeans": grids}), EVALUATED)[0]
    assert list(job.singles) == ["membership~all"]


def test_options_of_training_are_those_of_the_section_over_those_of_the_first_training():
    section = {"parameters": "all", "steps": 5, "learning_rate": 0.1, "points": {}}
    options = sparse_points.options_of_training(config({}, **{FINETUNED: section}))
    assert options["steps"] == 5 and options["learning_rate"] == 0.1 and options["mask_probability"] == 0.2
    assert options["compile"] is False and options["anneal"] == {"start": None, "steps": 0}
    assert not {"points", "parameters"} & set(options)


def test_validation_has_the_masks_of_the_training():
    found = sparse_points.validation_of(config({}))
    assert found == {"count": 3, "batch_size": 2, "mask_probability": 0.2}
