"""Modules of wheels as documents."""

from __future__ import annotations

import zipfile

import pytest

from sparse_attention.data.documents import Reading
from sparse_attention.data.readers.wheels import Wheels
from sparse_attention.errors import InputError


@pytest.fixture
def wheels(tmp_path):
    contents = {
        "my_tool-1.0-py3-none-any.whl": {
            "my_tool/b.py": "\ufeffdef b():\n    return 2\n".encode(),
            "my_tool/a.py": b"a = 1\n",
            "my_tool/latin.py": b"# caf\xe9\n",
            "my_tool/data.txt": b"not code\n",
        },
        "other-2.0-py3-none-any.whl": {"other/a.py": b"import os\n"},
    }
    for name, modules in contents.items():
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in modules.items():
                archive.writestr(path, content)
    return sorted(tmp_path.glob("*.whl"))


def read(reader, files):
    reading = Reading(0, None)
    return [(document.id, document.text) for document in reading.filter(reader.read(files, reading))], reading


def test_each_module_is_a_document(wheels):
    documents, reading = read(Wheels(), wheels)
    assert documents == [
        ("my_tool/a.py", "a = 1"),
        ("my_tool/b.py", "def b():\n    return 2"),
        ("other/a.py", "import os"),
    ]
    assert reading.summary() == "4 read, 3 kept; left out: 1 that are not UTF-8"


def test_projects_can_be_left_out(wheels):
    documents, _ = read(Wheels(left_out=["my-tool"]), wheels)
    assert documents == [("other/a.py", "import os")]


def test_a_project_without_a_wheel_is_refused(wheels):
    with pytest.raises(InputError, match=r"left_out: 'my_tool' has no wheel in .*; allowed: my-tool, other"):
        read(Wheels(left_out=["my_tool"]), wheels)


@pytest.mark.parametrize("keep", [0, 40, 200])
def test_a_cut_wheel_is_refused(wheels, keep):
    wheels[0].write_bytes(wheels[0].read_bytes()[:keep])
    with pytest.raises(InputError, match=r"my_tool-1\.0-py3-none-any\.whl: is not a readable wheel"):
        read(Wheels(), wheels)


def test_a_damaged_module_is_refused(wheels):
    content = bytearray(wheels[1].read_bytes())
    place = content.index(b"other/a.py") + len(b"other/a.py")
    content[place : place + 4] = b"\xff\xff\xff\xff"
    wheels[1].write_bytes(content)
    with pytest.raises(InputError, match=r"other-2\.0-py3-none-any\.whl: is not a readable wheel"):
        read(Wheels(), wheels)
