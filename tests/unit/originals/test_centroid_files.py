"""Files of clusters are chosen by the names that the originals give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparse_attention.errors import InputError
from sparse_attention.originals.centroid_files import Clustering, select_files

SHARED = Clustering(8, 1, 4, True)


def paths(*names):
    return [Path("kmeans") / name for name in sorted(names)]


def per_layer(stem, layers, ending="shared.pickle"):
    return [f"{stem}_{layer}l_{ending}" for layer in range(layers)]


FOLDER = paths(
    *per_layer("d_enc-attn.pt_4r_8s_1n", 12),
    *per_layer("d_enc-attn.pt_4r_8s_2n", 12),
    *per_layer("d_enc-attn.pt_4r_16s_1n", 12),
    *per_layer("d_enc-attn.pt_4r_8s_1n", 12, "indep.pickle"),
    *per_layer("d_enc-attn.pt_4r_8s_1n", 12, "shared_concat.pickle"),
    *per_layer("d_enc-attn.pt_8r_8s_1n", 12),
    "d_enc-attn.pt_4r_8s_1n_2bs_shared.pt",
    "notes.txt",
)


@pytest.mark.parametrize(
    ("wanted", "middle", "ending"),
    [
        (SHARED, "4r_8s_1n", "shared"),
        (Clustering(8, 2, 4, True), "4r_8s_2n", "shared"),
        (Clustering(16, 1, 4, True), "4r_16s_1n", "shared"),
        (Clustering(8, 1, 4, False), "4r_8s_1n", "indep"),
        (Clustering(8, 1, 4, True, concat=True), "4r_8s_1n", "shared_concat"),
        (Clustering(8, 1, 8, True), "8r_8s_1n", "shared"),
    ],
    ids=["shared", "runs", "clusters", "separate", "concat", "dim"],
)
def test_a_folder_gives_the_files_of_a_setting_layer_by_layer(wanted, middle, ending):
    # ten and eleven come after nine, not after one
    names = [f"d_enc-attn.pt_{middle}_{layer}l_{ending}.pickle" for layer in range(12)]
    assert [path.name for path in select_files(FOLDER, wanted)] == names


def test_one_file_of_all_layers_is_told_by_its_block_size():
    (path,) = select_files(FOLDER, Clustering(8, 1, 4, True, block_size=2))
    assert path.name == "d_enc-attn.pt_4r_8s_1n_2bs_shared.pt"


def test_without_a_projection_neither_dim_nor_sharing_matters():
    files = paths(*per_layer("d_4r_8s_1n", 2), "d_4r_9s_1n_0l_shared.pickle")
    assert len(select_files(files, Clustering(8, 1))) == 2


def test_a_single_file_may_have_any_name():
    assert select_files([Path("mine.bin")], SHARED) == [Path("mine.bin")]


@pytest.mark.parametrize(
    ("files", "wanted", "message"),
    [
        (FOLDER, Clustering(9, 1, 4, True), r"none of 74 files.*allowed: …_4r_9s_1n\[_…l\]_shared.pickle"),
        (FOLDER, Clustering(8, 1, 4, True, 4, True), r"…_4r_8s_1n_4bs\[_…l\]_shared_concat.pickle"),
        (paths("a_4r_8s_1n_0l_shared.pickle", "b_4r_8s_1n_0l_shared.pickle"), SHARED, "a_4r.* and .*b_4r.* both fit"),
        (paths("a_4r_8s_1n_shared.pickle", "a_4r_8s_1n_0l_shared.pickle"), SHARED, "both fit"),
        (paths("a_4r_8s_1n_0l_shared.pickle", "a_4r_8s_1n_0l_shared.pt"), SHARED, "both hold layer 0 of the clusters"),
        (paths("a_4r_8s_1n_0l_shared.pickle", "a_4r_8s_1n_2l_shared.pickle"), SHARED, "but none of layer 1"),
        (paths("a_4r_8s_1n_1l_shared.pickle", "a_4r_8s_1n_2l_shared.pickle"), SHARED, "but none of layer 0"),
    ],
    ids=["no clustering", "no blocks", "two data sets", "twice", "two endings", "a gap", "no first layer"],
)
def test_what_cannot_be_told_is_refused(files, wanted, message):
    with pytest.raises(InputError, match=message) as caught:
        select_files(files, wanted)
    assert "fit_clusters.source" in str(caught.value)
