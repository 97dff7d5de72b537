"""The tiny configuration on a Slurm of two nodes: to the end in spite of losses, and clear where it cannot go on."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from drivers import install_driver
from killing import tables
from slurm_cluster import Cluster, why_impossible

SLURM = ("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20")
TRAINING = "rule_train_mlm_wildcards_tiny_tiny_entmax~1.5_1"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return install_driver(tmp_path_factory.mktemp("driver"), ["slurm", "cluster-generic"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := why_impossible():
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        try:
            cluster.start()
        except (RuntimeError, TimeoutError) as error:
            pytest.skip(f"Slurm's daemons do not start here: {error}")
        yield cluster
    finally:
        cluster.stop()


def ids(cluster, comment, state=None):
    return [job for job, facts in cluster.jobs().items()
            if facts["comment"].startswith(comment) and state in (None, facts["state"])]  # fmt: skip


@pytest.fixture(scope="module")
def disturbed(cluster, driver, finished, tmp_path_factory):
    """Return the folder of a run during which a job was cancelled and a node was lost."""
    folder = finished.copy(tmp_path_factory.mktemp("disturbed") / "checkout").folder
    for made in ("results", ".snakemake"):
        shutil.rmtree(folder / made)
    run = driver.start(folder, *SLURM)
    try:
        cluster.wait_for("training runs", lambda: ids(cluster, TRAINING, "RUNNING"), 600)
        cluster.cancel(ids(cluster, TRAINING)[0])
        cluster.wait_for("the cancelled job runs again", lambda: len(ids(cluster, TRAINING)) == 2, 120)
        cluster.wait_for("a job runs on n2", lambda: "n2" in running(cluster), 300)
        cluster.kill_node("n2")
        cluster.wait_for("the loss is noticed", lambda: "down" in cluster.states()["n2"], 120)
        cluster.start_node("n2")
        assert run.wait(timeout=3000) == 0, (folder / "run.log").read_text()
    finally:
        run.kill()
    return folder


def running(cluster):
    return {facts["node"] for facts in cluster.jobs().values() if facts["state"] == "RUNNING"}


def test_results_are_those_of_a_local_run(disturbed, finished):
    ours, local = tables(disturbed), tables(finished.folder)
    assert ours.keys() == local.keys() and len(local) > 50
    assert [name for name in local if ours[name] != local[name]] == []


def test_a_cancelled_job_is_tried_again(disturbed, cluster):
    assert len(ids(cluster, TRAINING, "CANCELLED")) == 1 and len(ids(cluster, TRAINING, "COMPLETED")) == 1
    assert "SLURM status is: 'CANCELLED'" in (disturbed / "run.log").read_text()
    first, second = (cluster.jobs()[job]["memory"] for job in sorted(ids(cluster, TRAINING), key=int)[:2])
    assert (first, second) == ("6000M", "12000M")


def test_jobs_of_a_lost_node_are_tried_again(disturbed, cluster):
    lost = [facts for facts in cluster.jobs().values() if facts["state"] == "NODE_FAIL"]
    assert lost and all(ids(cluster, facts["comment"], "COMPLETED") for facts in lost)
    assert "failed due to a node failure" in (disturbed / "run.log").read_text()


def test_predictors_that_are_ready_share_an_array(disturbed, cluster):
    evaluated = ids(cluster, "rule_evaluate_predictor", "COMPLETED")
    assert len(evaluated) == 10
    # how many are ready at once depends on how fast the jobs before them end
    assert max(Counter(job.split("_")[0] for job in evaluated).values()) >= 2


def test_short_jobs_share_a_submission(disturbed, cluster):
    comments = [facts["comment"] for facts in cluster.jobs().values()]
    assert sum(comment.startswith("rule_figures") for comment in comments) <= 6
    assert not any(
        comment.startswith(("rule_plot", "rule_tokenise_wildcards", "rule_retrieve")) for comment in comments
    )


def test_a_job_over_its_memory_gets_more(cluster, driver, copy_of_finished, finished):
    rule = "evaluate_text_baselines"
    resources = ("--set-resources", f"{rule}:mem_mb=150*attempt**3")
    status, messages = driver.run(copy_of_finished.folder, *SLURM, *resources, "--forcerun", rule, "--until", rule)
    assert status == 0, messages
    assert "exceeded memory limit" in messages and "Trying to restart job" in messages
    assert tables(copy_of_finished.folder) == tables(finished.folder)


def test_training_over_its_time_resumes_and_says_so(cluster, driver, copy_of_finished):
    long = copy_of_finished.write("long.yaml", "train_mlm: {steps: 100000, eval_steps: 50000, save_steps: 10}\n")
    target = "results/models/tiny/tiny/softmax/seed~1/training.tsv"
    status, messages = driver.run(
        copy_of_finished.folder, long, *SLURM, "--retries", "1", "--set-resources", "train_mlm:runtime=1", "--", target
    )
    assert status == 1
    assert messages.count("SLURM status is: 'TIMEOUT'") == 2 and "Error in rule train_mlm" in messages
    log = (copy_of_finished.folder / "results/logs/train_mlm/tiny/tiny/softmax/seed~1.log").read_text()
    assert "continuing from step" in log


def test_training_asks_for_its_model_of_gpu(cluster, driver, copy_of_finished):
    target = "results/models/tiny/tiny/softmax/seed~1/training.tsv"
    gpu = ("--profile", "profiles/slurm-gpu", "--forcerun", "train_mlm")
    before = set(cluster.jobs())
    status, messages = driver.run(copy_of_finished.folder, *SLURM, *gpu, "--", target)
    assert status == 0, messages
    (job,) = set(cluster.jobs()) - before
    assert cluster.jobs()[job]["node"] == "n2" and "gpu:a100:1" in cluster.request(job)


def test_slurm_without_its_plugin(cluster, driver, copy_of_finished, finished):
    generic = ("--profile", "profiles/cluster-generic", "--profile", "profiles/cluster-generic/sbatch.yaml")
    rule = "evaluate_text_baselines"
    before = set(cluster.jobs())
    status, messages = driver.run(copy_of_finished.folder, *generic, "--forcerun", rule, "--until", rule)
    assert status == 0, messages
    (job,) = set(cluster.jobs()) - before
    assert cluster.jobs()[job]["memory"] == "3000M" and cluster.jobs()[job]["limit"] == "1:00:00"
    assert tables(copy_of_finished.folder) == tables(finished.folder)


def test_a_controller_that_is_down_is_told_before_any_job(cluster, driver, checkout):
    cluster.kill_controller()
    try:
        status, messages = driver.run(checkout.folder, *SLURM, "--until", "retrieve")
    finally:
        cluster.start_controller()
    assert status == 1
    assert "Slurm's controller cannot be reached" in messages
    assert not list(checkout.folder.glob("resources/*/local/receipt.json"))
