from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sparse_attention.data.sources.path import locate, repeats, resolve, stamp, watchable
from sparse_attention.errors import InputError


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A folder with texts, one of them behind a link to a folder outside."""
    write(tmp_path / "texts/a.txt", tmp_path / "texts/sub/b.txt", tmp_path / "elsewhere/deep/c.txt")
    (tmp_path / "texts/linked").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    return Path("texts")


def write(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("text")


def found(path):
    root, files = resolve(str(path))
    return [file.relative_to(root).as_posix() for file in files]


WAYS = pytest.mark.parametrize("way", ["", "/", "/**", "/**/*", "/**/*.txt"], ids=["folder", "slash", "**", "*", "txt"])


@WAYS
def test_linked_folders_are_followed_by_a_folder_and_a_glob_alike(texts, way):
    assert found(f"{texts}{way}") == ["a.txt", "linked/deep/c.txt", "sub/b.txt"]


@WAYS
def test_loops_of_links_end_and_a_linked_folder_counts_once_under_its_own_name(texts, way):
    (texts / "around").symlink_to("..")
    (texts / "loop").symlink_to(".")
    (texts / "sub/up").symlink_to("..")
    (texts / "also").symlink_to("sub")
    (texts / "elsewhere").symlink_to("../elsewhere/deep")
    (texts / "linked").unlink()
    # what lies beside the folder is found through `around`, the folder itself again is not
    assert found(f"{texts}{way}") == ["a.txt", "around/elsewhere/deep/c.txt", "sub/b.txt"]


def test_a_file_with_two_names_is_found_with_the_name_to_keep(texts):
    (texts / "0.txt").symlink_to("a.txt")
    (texts / "z.txt").symlink_to("../elsewhere/deep/c.txt")
    files = resolve(str(texts))[1]
    again = {str(file): str(first) for file, first in repeats(files).items()}
    assert again == {"texts/0.txt": "texts/a.txt", "texts/z.txt": "texts/linked/deep/c.txt"}


@WAYS
@pytest.mark.parametrize("target", ["gone", "gone/x", "broken"], ids=["missing", "missing folder", "itself"])
def test_a_broken_link_is_refused(texts, way, target):
    (texts / "sub/broken").symlink_to(target)
    with pytest.raises(InputError, match=f"texts/sub/broken: is a link to {target}, which does not exist; repair"):
        resolve(f"{texts}{way}")
    with pytest.raises(InputError, match="texts/sub/broken: is a link to"):
        resolve(f"{texts}/sub/broken")


def test_hidden_and_unmatched_files_are_left_out_also_when_they_are_broken(texts):
    (texts / ".#lock").symlink_to("gone")
    (texts / "x.log").symlink_to("gone")
    write(texts / ".git/d.txt", texts / "e.log")
    assert found(texts / "*.txt") == ["a.txt"]
    (texts / "x.log").unlink()
    assert found(texts) == ["a.txt", "e.log", "linked/deep/c.txt", "sub/b.txt"]


def test_files_are_sorted_by_their_characters_whatever_the_locale(tmp_path):
    names = ["B.txt", "a.txt", "ä.txt", "z.txt", "Ä.txt", "10.txt", "9.txt"]
    write(*(tmp_path / name for name in names))
    assert found(tmp_path) == sorted(names) == found(tmp_path / "*.txt")


ODD = [
    "run{1}", "{seed}", "[x]", "a*b", "who?", "with space", " lead", "trail ", "-rf", "~", "~nobody", "a#b", "$HOME",
    "100%", "o'a", 'q"q', "new\nline", "tab\t", "ünï", "日本", "back\\slash", "a;b&c", "\x1b[31m",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_a_path_that_exists_is_taken_literally(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(Path(name, f"{name}.txt"), Path("run1", "x.txt"), Path("x", "x.txt"), Path("axb", "x.txt"))
    assert found(name) == [f"{name}.txt"]
    assert found(f"{name}/{name}.txt") == [f"{name}.txt"]
    assert found(f"./{name}/*.txt") == [f"{name}.txt"]
    assert found(f"{tmp_path}/{name}/**") == [f"{name}.txt"]


def test_a_glob_matches_files(tmp_path):
    write(tmp_path / "1/a.txt", tmp_path / "2/b.txt", tmp_path / "3/c.txt", tmp_path / "1/deep/d.txt")
    assert found(tmp_path / "[12]/?.txt") == ["1/a.txt", "2/b.txt"]
    assert found(tmp_path / "[!12]/*") == ["3/c.txt"]
    assert found(tmp_path / "*/../2/*.txt") == ["1/../2/b.txt", "2/../2/b.txt", "3/../2/b.txt"]
    with pytest.raises(InputError, match=r"\*\.pdf: matches no file"):
        resolve(str(tmp_path / "*.pdf"))


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "a.txt")
    assert locate("~/a.txt") == tmp_path / "a.txt"
    with pytest.raises(InputError, match="~nobody-of-that-name/x: the home folder is not known"):
        resolve("~nobody-of-that-name/x")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.txt", "none.txt: no such file or folder$"),
        ("a.txt\n", r"a.txt\\n: no such file or folder; the path starts or ends with a blank or a new line"),
        ("a.txt/b", "a.txt/b: no such file or folder"),
        ("a.txt/*", "a.txt: Not a directory"),
        ("none/**", "none: No such file or directory"),
        ("x" * 5000, "File name too long"),
        ("x/" * 5000, "File name too long"),
        ("a\0b", r"a\\x00b: contains a null character"),
        ("a\0/*", "contains a null character"),
        ("socket", "socket: is neither a file nor a folder"),
        ("empty", "empty: contains no file"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_an_unreadable_path_gives_one_short_line(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    write(Path("a.txt"))
    Path("empty").mkdir()
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
        with pytest.raises(InputError, match=message) as error:
            resolve(path)
    assert len(str(error.value)) < 1200 and "\n" not in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_named(texts):
    (texts / "sub").chmod(0)
    with pytest.raises(InputError, match="texts/sub: Permission denied"):
        resolve(str(texts))


@pytest.mark.parametrize("name", [b"b\xff.txt", b"b\xff/c.txt"], ids=["file", "folder"])
@WAYS
def test_a_name_that_is_not_utf8_is_refused(texts, name, way):
    write(texts / os.fsdecode(name))
    with pytest.raises(InputError, match=r"texts/b\\udcff(\.txt)?: the name is not UTF-8; rename it"):
        resolve(f"{texts}{way}")


def test_files_with_braces_change_the_stamp_because_snakemake_cannot_watch_them(tmp_path):
    plain, odd, half = (tmp_path / name for name in ("a.txt", "run{1}.txt", "half{.txt"))
    write(plain, odd, half)
    assert watchable([plain, odd, half]) == [str(plain), str(half)]
    before = stamp([plain, odd])
    write(plain)
    assert stamp([plain, odd]) == before and stamp([plain]) == ""
    odd.write_text("longer than before")
    assert stamp([plain, odd]) != before
