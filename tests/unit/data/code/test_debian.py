"""Source packages become labelled functions: patches in order, versions before and after, what is left out."""

from __future__ import annotations

import difflib
import io
import os
import re
import tarfile

import pytest

from sparse_attention.data.code import selection
from sparse_attention.data.code.debian_packages import Patch, packages_of
from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.code.readers import debian
from sparse_attention.errors import InputError

COPY = """\
static int copy(char *to, const char *from, int n)
{
    int i;
    for (i = 0; i <= n; i++)
        to[i] = from[i];
    return i;
}
"""
FIXED = COPY.replace("i <= n", "i < n")
CHECKED = FIXED.replace("    int i;\n", "    int i;\n    if (n < 0)\n        return 0;\n")
SUM = "int sum(int a, int b)\n{\n    return a + b;\n}\n"


def diff(path, before, after):
    """Return the patch that turns one version of a file into another."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}")
    return "".join(lines)


def archive(path, files):
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tar", "")) as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def package(folder, files, patches, series=None, name="tool"):
    """Write both tarballs of a package; return their paths."""
    original = archive(folder / f"{name}_1.0.orig.tar.gz", {f"{name}-1.0/{path}": text for path, text in files.items()})
    inner = {f"debian/patches/{patch}": text for patch, text in patches.items()}
    if series is None:
        series = "".join(f"{patch}\n" for patch in patches)
    inner |= {"debian/patches/series": series} if patches else {"debian/control": "Source: tool\n"}
    return [original, archive(folder / f"{name}_1.0-2+deb12u1.debian.tar.xz", inner)]


def read(files, **options):
    intake = Intake()
    return list(debian.Debian(**options).read({"": files}, intake)), intake


def bodies(text):
    """Return the text of a function without the newline behind it."""
    return text.rstrip("\n")


def test_a_fix_gives_the_old_version_label_1_and_the_rest_label_0(tmp_path):
    files = package(
        tmp_path,
        {"src/a.c": COPY + "\n" + SUM, "src/b.c": SUM.replace("sum", "other")},
        {"CVE-2024-12345.patch": diff("src/a.c", COPY + "\n" + SUM, FIXED + "\n" + SUM)},
    )
    functions, intake = read(files)
    assert functions == [
        Function(bodies(COPY), 1, "tool", "src/a.c", "CVE-2024-12345", (4,)),
        Function(bodies(FIXED), 0, "tool", "src/a.c"),
        Function(bodies(SUM), 0, "tool", "src/a.c"),
    ]
    assert (intake.read, dict(intake.dropped)) == (3, {})


def test_of_near_repeats_the_defective_version_is_kept(tmp_path):
    body = COPY.replace(
        "    return i;\n", "".join(f"    to[{k}] = from[{k + 1}];\n" for k in range(30)) + "    return i;\n"
    )
    files = package(tmp_path, {"a.c": body}, {"CVE-2024-1111.patch": diff("a.c", body, body.replace("<=", "<"))})
    functions, _ = read(files)
    intake = Intake()
    left = selection.without_repeats(
        [Function(**{**vars(f), "split": "train"}) for f in functions], 0.8, "drop", intake
    )
    assert [f.label for f in functions] == [1, 0] and [f.label for f in left] == [1]
    assert dict(intake.dropped) == {"nearly repeats another one": 1}


def test_defective_versions_of_all_packages_come_first(tmp_path):
    patch = {"CVE-2024-1111.patch": diff("a.c", COPY, FIXED)}
    files = [*package(tmp_path, {"a.c": COPY}, patch), *package(tmp_path, {"a.c": COPY}, patch, name="another")]
    one, two = (read(files, threads=threads)[0] for threads in (1, 2))
    assert one == two
    assert [(f.project, f.label) for f in one] == [("tool", 1), ("another", 1), ("tool", 0), ("another", 0)]


def test_patches_follow_the_series(tmp_path):
    """Two fixes and one that is none in between: each version before a fix counts, the last one is sound."""
    renamed = FIXED.replace("from", "source")
    checked = CHECKED.replace("from", "source")
    patches = {
        "z-CVE-2024-1111.patch": diff("a.c", COPY, FIXED),
        "style.patch": diff("a.c", FIXED, renamed),
        "a-CVE-2024-2222.patch": diff("a.c", renamed, checked),
    }
    functions, intake = read(package(tmp_path, {"a.c": COPY}, patches))
    assert functions == [
        Function(bodies(COPY), 1, "tool", "a.c", "CVE-2024-1111", (4,)),
        Function(bodies(renamed), 1, "tool", "a.c", "CVE-2024-2222", (4,)),
        Function(bodies(checked), 0, "tool", "a.c"),
    ]
    assert not intake.dropped


def test_a_fix_that_is_reverted_leaves_no_function_of_label_0(tmp_path):
    patches = {"CVE-2024-1111.patch": diff("a.c", COPY, FIXED), "CVE-2024-1111-back.patch": diff("a.c", FIXED, COPY)}
    functions, _ = read(package(tmp_path, {"a.c": COPY}, patches))
    assert [(f.source, f.label) for f in functions] == [(bodies(COPY), 1), (bodies(FIXED), 1)]


def test_series_may_have_comments_options_and_folders(tmp_path):
    patches = {"up/CVE-2024-1111.patch": diff("a.c", COPY, FIXED), "left-out-CVE-2.patch": "no patch"}
    series = "# first\n\nup/CVE-2024-1111.patch -p1  # upstream\n#left-out-CVE-2.patch\n"
    functions, intake = read(package(tmp_path, {"a.c": COPY}, patches, series))
    assert [f.label for f in functions] == [1, 0] and not intake.dropped


def test_a_patch_that_does_not_apply_changes_nothing_and_is_counted(tmp_path):
    both = COPY + SUM
    wrong = diff("a.c", both, FIXED + SUM.replace("a + b", "b")).replace("     int i;", "     long i;", 1)
    patches = {"CVE-1-bad.patch": wrong, "CVE-2024-1111.patch": diff("a.c", both, FIXED + SUM)}
    functions, intake = read(
        package(tmp_path, {"a.c": both}, patches, "CVE-1-bad.patch\nCVE-3.patch\nCVE-2024-1111.patch")
    )
    assert [(f.source, f.label) for f in functions] == [(bodies(COPY), 1), (bodies(FIXED), 0), (bodies(SUM), 0)]
    assert dict(intake.dropped) == {"patches that do not apply": 2}


def test_only_the_changes_to_c_files_must_apply(tmp_path):
    """Real ones hold binary files without their content, files that were left out, and renames of another folder."""
    patch = (
        "diff --git a/logo.png b/logo.png\nindex 1..2 100644\nBinary files a/logo.png and b/logo.png differ\n"
        "diff --git a/sub/x.yml b/sub/y.yml\nsimilarity index 82%\nrename from x.yml\nrename to y.yml\n"
        f"{diff('sub/x.yml', 'a', 'b')}\n"
        f"diff --git a/a.c b/a.c\nindex 1..2 100644\n{diff('a.c', COPY, FIXED)}"
        f"{diff('README', 'one', 'two')}\n{diff('b.h', SUM, SUM.replace('a + b', 'b'))}-- \n2.30.2\n"
    )
    functions, intake = read(package(tmp_path, {"a.c": COPY, "b.h": SUM}, {"CVE-2024-1111.patch": patch}))
    assert [(f.path, f.label) for f in functions] == [("a.c", 1), ("b.h", 1), ("a.c", 0), ("b.h", 0)]
    assert not intake.dropped


def test_changes_without_context_apply(tmp_path):
    patch = "--- a/a.c\t2024-01-01\n+++ b/a.c 2024-01-02\n@@ -4 +4 @@\n-{}\n+{}\n"
    lines = [text.splitlines()[3] for text in (COPY, FIXED)]
    functions, _ = read(package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": patch.format(*lines)}))
    assert [(f.source, f.label) for f in functions] == [(bodies(COPY), 1), (bodies(FIXED), 0)]


def test_a_renamed_file_is_followed(tmp_path):
    move = "diff --git a/a.c b/b.c\nsimilarity index 100%\nrename from a.c\nrename to b.c\n"
    patches = {"move.patch": move, "CVE-2024-1111.patch": diff("b.c", COPY, FIXED)}
    functions, intake = read(package(tmp_path, {"a.c": COPY}, patches))
    assert [(f.path, f.label) for f in functions] == [("b.c", 1), ("b.c", 0)] and not intake.dropped


def test_functions_that_a_fix_adds_removes_or_renames(tmp_path):
    helper = "static int size(int n)\n{\n    return n + 1;\n}\n"
    old, new = COPY + SUM + helper, FIXED + SUM.replace("sum", "add") + helper.replace("size", "room") + helper
    functions, intake = read(package(tmp_path, {"a.c": old}, {"CVE-2024-1111.patch": diff("a.c", old, new)}))
    assert [(f.source.split("(")[0].split()[-1], f.label) for f in functions] == [
        ("copy", 1), ("copy", 0), ("add", 0), ("room", 0), ("size", 0),
    ]  # fmt: skip
    assert dict(intake.dropped) == {"functions that a fix removes or renames": 1} and intake.read == 6


def test_files_that_a_fix_adds_or_removes(tmp_path):
    gone = "--- a/old.c\n+++ /dev/null\n@@ -1,4 +0,0 @@\n" + "".join(f"-{line}" for line in SUM.splitlines(True))
    added = "--- /dev/null\n+++ b/new.c\n@@ -0,0 +1,4 @@\n" + "".join(f"+{line}" for line in SUM.splitlines(True))
    functions, intake = read(package(tmp_path, {"old.c": SUM}, {"CVE-2024-1111.patch": gone + added}))
    assert functions == [Function(bodies(SUM), 0, "tool", "new.c")]
    assert dict(intake.dropped) == {"functions that a fix removes or renames": 1}


def test_comments_and_layout_do_not_count_as_a_fix(tmp_path):
    other = COPY.replace("    int i;\n", "    int i;  /* counts */\n\n")
    functions, _ = read(package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("a.c", COPY, other)}))
    assert functions == [Function(bodies(other), 0, "tool", "a.c")]


def test_alternatives_of_one_function_are_compared_separately(tmp_path):
    both = f"#ifdef FAST\n{COPY}#else\n{COPY.replace('i++', 'i += 1')}#endif\n"
    after = both.replace("i <= n; i += 1", "i < n; i += 1")
    functions, _ = read(package(tmp_path, {"a.c": both}, {"CVE-2024-1111.patch": diff("a.c", both, after)}))
    assert [("+= 1" in f.source, f.label) for f in functions] == [(True, 1), (False, 0), (True, 0)]


def test_tests_other_languages_and_bytes_that_are_not_utf_8_are_left_out(tmp_path):
    latin, latin_fixed = (f"/* \xe9 */\n{SUM}{text}" for text in (COPY, FIXED))
    files = {"a.c": COPY, "tests/b.c": COPY, "x/run-test.c": COPY, "c.py": "x = 1\n", "l.c": latin.encode("latin-1")}
    patch = "".join(diff(name, COPY, FIXED) for name in ("a.c", "tests/b.c", "x/run-test.c"))
    patch += diff("c.py", "x = 1\n", "x = 2\n") + diff("l.c", latin, latin_fixed)
    functions, intake = read(package(tmp_path, files, {"CVE-2024-1111.patch": patch}))
    assert [(f.path, f.label) for f in functions] == [("a.c", 1), ("a.c", 0)]
    assert dict(intake.dropped) == {"files of tests": 2, "files that are not UTF-8": 1}


def test_functions_with_syntax_errors_are_left_out_and_counted(tmp_path):
    loop = "int each(int a)\n{\n    foreach(x, y) { g(x); }\n    return a;\n}\n"
    old, new = COPY + loop, FIXED + loop.replace("return a", "return 1")
    functions, intake = read(package(tmp_path, {"a.c": old}, {"CVE-2024-1111.patch": diff("a.c", old, new)}))
    assert [(f.source, f.label) for f in functions] == [(bodies(COPY), 1), (bodies(FIXED), 0)]
    assert dict(intake.dropped) == {"functions in which the parser of C finds an error": 1} and intake.read == 3


@pytest.mark.parametrize(
    ("name", "header", "rule"),
    [
        ("CVE-2024-1111.patch", "Fixes CVE-2024-9999\n", "CVE-2024-1111"),
        ("cve-2024-2222+cve-2023-11111.diff", "", "CVE-2023-11111,CVE-2024-2222"),
        ("overflow.patch", "Description: of a buffer\nBug: CVE-2020-1234, cve-2020-1234\n---\n", "CVE-2020-1234"),
        ("overflow.patch", "", "overflow.patch"),
    ],
)
def test_the_rule_is_the_cve_id_or_the_patchs_name(tmp_path, name, header, rule):
    text = header + diff("a.c", COPY + "/* CVE-1999-0001 */\n", FIXED + "/* CVE-1999-0001 */\n")
    files = package(tmp_path, {"a.c": COPY + "/* CVE-1999-0001 */\n"}, {name: text})
    functions, _ = read(files, patches=["*cve*", "overflow*"])
    assert functions[0].rule == rule


def test_patterns_choose_the_fixes(tmp_path):
    """As with the stable releases of qemu, cumulative patches."""
    files = package(
        tmp_path,
        {"a.c": COPY},
        {"v7.2.1.diff": diff("a.c", COPY, FIXED), "CVE-2024-1111.patch": diff("a.c", FIXED, CHECKED)},
    )
    functions, _ = read(files, patches=["v7.2.*.diff"])
    assert [(f.source, f.label, f.rule) for f in functions] == [
        (bodies(COPY), 1, "v7.2.1.diff"), (bodies(CHECKED), 0, ""),
    ]  # fmt: skip
    with pytest.raises(
        InputError,
        match=r"tar.xz: no patch matches security/\* \(option patches\); there are CVE-2024-1111.patch, v",
    ):
        read(files, patches=["security/*"])


def test_a_package_without_a_series_has_no_patches(tmp_path):
    with pytest.raises(InputError, match=r"tar.xz: no patch matches \*CVE\* \(option patches\); there are no patches"):
        read(package(tmp_path, {"a.c": COPY}, {}))


def test_splits_of_the_data_set_stay(tmp_path):
    files = package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("a.c", COPY, FIXED)})
    functions = list(debian.Debian().read({"test": files}, Intake()))
    assert {f.split for f in functions} == {"test"}


def test_components_are_unpacked_to_folders_of_their_names(tmp_path):
    files = package(tmp_path, {"a.c": SUM}, {"CVE-2024-1111.patch": diff("extra/b.c", COPY, FIXED)})
    files.append(archive(tmp_path / "tool_1.0.orig-extra.tar.xz", {"whatever/b.c": COPY}))
    assert [(f.path, f.label) for f in read(files)[0]] == [("extra/b.c", 1), ("extra/b.c", 0)]


def test_archives_without_one_outer_folder(tmp_path):
    files = package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("a.c", COPY, FIXED)})
    archive(files[0], {"./a.c": COPY, "doc/README": "text"})
    assert [f.label for f in read(files)[0]] == [1, 0]


def test_the_only_folder_with_c_files_is_kept_when_there_are_other_files(tmp_path):
    files = package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("src/a.c", COPY, FIXED)})
    archive(files[0], {"README": "text", "src/a.c": COPY})
    assert [f.path for f in read(files)[0]] == ["src/a.c", "src/a.c"]


@pytest.mark.parametrize("name", ["../outside.c", "tool-1.0/../../outside.c", "/outside.c"])
def test_archives_that_reach_outside_are_refused(tmp_path, name):
    files = package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("a.c", COPY, FIXED)})
    archive(files[0], {"tool-1.0/a.c": COPY, name: COPY})
    with pytest.raises(InputError, match=r"tool_1.0.orig.tar.gz: unsafe: .*outside"):
        read(files)


def test_links_are_not_unpacked(tmp_path):
    secret = tmp_path / "secret.c"
    secret.write_text(COPY)
    files = package(
        tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("link.c", COPY, FIXED) + diff("a.c", COPY, FIXED)}
    )
    with tarfile.open(files[0], "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("tool-1.0/a.c"), io.BytesIO())
        link = tarfile.TarInfo("tool-1.0/link.c")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    functions, intake = read(files)
    assert functions == [] and dict(intake.dropped) == {"patches that do not apply": 1}


def test_patches_cannot_reach_outside(tmp_path):
    (tmp_path / "secret.c").write_text(COPY)
    up = "../" * 12 + str(tmp_path / "secret.c").lstrip("/")
    patches = {"CVE-2024-1.patch": diff(up, COPY, FIXED), "CVE-2024-1111.patch": diff("a.c", COPY, FIXED)}
    functions, intake = read(package(tmp_path, {"a.c": COPY}, patches))
    assert [f.path for f in functions] == ["a.c", "a.c"] and (tmp_path / "secret.c").read_text() == COPY
    assert dict(intake.dropped) == {"patches that do not apply": 1}


def test_the_users_settings_of_git_have_no_effect(tmp_path, monkeypatch):
    (tmp_path / "gitconfig").write_text("[apply]\n\twhitespace = fix\n[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    after = FIXED.replace("return i;", "return i; ")
    functions, _ = read(package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("a.c", COPY, after)}))
    assert functions[1].source == bodies(after)


def test_missing_git_is_reported(tmp_path, monkeypatch):
    files = package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("a.c", COPY, FIXED)})
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(InputError, match="git is not installed"):
        read(files)


@pytest.mark.parametrize(
    "damage", [lambda c: c[:40], lambda c: c[: len(c) // 2], lambda _: b"text"], ids=["head", "half", "text"]
)
@pytest.mark.parametrize("place", [0, 1], ids=["gz", "xz"])
def test_a_damaged_archive_is_named(tmp_path, place, damage):
    files = package(tmp_path, {"a.c": COPY}, {"CVE-2024-1111.patch": diff("a.c", COPY, FIXED)})
    files[place].write_bytes(damage(files[place].read_bytes()))
    with pytest.raises(InputError, match=f"{re.escape(files[place].name)}: not a readable tar archive: [^\n]*$"):
        read(files)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["tool_1.0.orig.tar.gz"], "tool 1.0: has .*tool_1.0.orig.tar.gz; allowed: NAME_VERSION.orig.tar"),
        (["tool_1.0-1.debian.tar.xz"], "tool 1.0: has .*tool_1.0-1.debian.tar.xz"),
        (["tool_1.0.orig.tar.gz", "tool_1.1-1.debian.tar.xz"], "tool 1.0: has .*tool_1.0.orig.tar.gz"),
        (["t_1.orig.tar.gz", "t_1-1.debian.tar.xz", "t_1-2.debian.tar.xz"], "t 1: .*one of each"),
        (["tool_1.0.tar.xz"], "tool_1.0.tar.xz: not a tarball of a Debian source package"),
    ],
)
def test_packages_without_both_tarballs_are_refused(tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        packages_of([tmp_path / name for name in names])


def test_versions_may_have_hyphens_and_come_in_any_order(tmp_path):
    names = [
        "libx-2_1.0-rc1-3~deb12u1.debian.tar.xz",
        "libx-2_1.0-rc1.orig.tar.bz2",
        "a_2.orig.tar.xz",
        "a_2-1.debian.tar.xz",
    ]
    found = packages_of([tmp_path / name for name in names])
    assert [(package.name, package.version) for package in found] == [("libx-2", "1.0-rc1"), ("a", "2")]


def test_a_patch_that_changes_no_file_changes_nothing(tmp_path):
    (tmp_path / "CVE-1.patch").write_text("Only words: the change was taken out.\n")
    patch = Patch.of("CVE-1.patch", tmp_path / "CVE-1.patch")
    assert (patch.paths, patch.changes, patch.header) == ((), b"", "Only words: the change was taken out.\n")
