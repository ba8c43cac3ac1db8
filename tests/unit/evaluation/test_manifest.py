"""Lists of videos, as people write them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from service.evaluation.manifest import ManifestError, read_manifest
from tests.shared import SHARED, needs_shared


def test_csv_and_json_lines_say_the_same() -> None:
    table = (
        "﻿Label, url ,dataset,group,remark\r\n"
        'fake,https://a.test/1,DFW,"Smith, W.",x\r\n'
        "\r\n"
        "real,https://a.test/2,,,\r\n"
    ).encode()
    members = [
        {"label": "fake", "url": "https://a.test/1", "dataset": "DFW", "group": "Smith, W."},
        {"label": "real", "url": "https://a.test/2", "dataset": None, "more": [1]},
    ]
    lines = "\n\n".join(json.dumps(each) for each in members).encode()
    first = read_manifest(table, 10, 9)
    assert first == read_manifest(lines, 10, 9)
    assert [each.id for each in first] == ["1", "2"]
    assert first[0].group == "Smith, W."
    assert (first[1].dataset, first[1].group) == ("", "")


def test_numbers_are_ids_and_names_of_members_may_be_written_large() -> None:
    line = b'{"ID": 0, "Label": "real", "URL": "http://a.test", "group": 7}'
    (found,) = read_manifest(line, 10, 9)
    assert (found.id, found.group) == ("0", "7")


def test_quoted_fields_may_hold_lines_and_ids_may_be_given() -> None:
    found = read_manifest(b'id,label,path\n"a b",real,"x\ny.mp4"\nc,fake,z.mp4\n', 10, 9)
    assert [(each.id, each.path) for each in found] == [("a b", "x\ny.mp4"), ("c", "z.mp4")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it holds no video"),
        (b"\n\n", "it holds no video"),
        (b"label,url\n", "it holds no video"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"url\nhttp://a.test\n", "the first line must name the columns"),
        (b"label,label,url\n", "names a column twice"),
        (b"label,url\nfake\n", "line 2: 1 fields, not 2"),
        (b"label,url\nFAKE,http://a.test\n", "line 2: the label must be real or fake"),
        (b"label,url,path\nfake,http://a.test,b.mp4\n", "line 2: give either a url or a path"),
        (b"label,url\nfake,\n", "line 2: give either a url or a path"),
        (b'label,url\nfake,"http\n', "this is no CSV"),
        (b"label,url\nfake," + b"a" * 9000 + b"\n", "line 2: a url has at most 8192"),
        (b"label,url\nfake," + b"a" * 200_000 + b"\n", "this is no CSV"),
        (b"id,label,url\n1,fake,u\n1,real,u\n", "line 3: line 2 has the same id"),
        (b"label,url,id\nfake,u,\nreal,u,1\n", "line 3: line 2 has the same id"),
        (b"label,url,id\nfake,u,a\tb\n", "line 2: an id has 1 to 200 visible"),
        (b"label,url,dataset\nfake,u,a\x1bb\n", "line 2: the name of a dataset"),
        ("label,url,id\nfake,u,a\x9b31mb\n".encode(), "line 2: an id has"),
        ("label,url,group\nfake,u,a\u202eb\n".encode(), "line 2: the name of a group"),
        (b"label,url,dataset\nfake,u," + b"d" * 51, "line 2: the name of a dataset"),
        (
            b"label,url,dataset\n" + b"".join(b"fake,u,%d\n" % n for n in range(10)),
            "more than 9 datasets",
        ),
        (b'{"label": "fake", "url": "u"}\n{"label"', "line 2: this is no JSON"),
        (b'{"label": "fake", "url": "u"}\n[1]', "line 2: this is no JSON object"),
        (b'{"label": "fake", "url": [5]}', "line 1: a url has at most"),
        (b'{"a":' * 100_000, "line 1: this is no JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(data: bytes, reason: str) -> None:
    with pytest.raises(ManifestError) as refusal:
        read_manifest(data, 10, 9)
    assert reason in str(refusal.value)


def test_what_a_line_holds_is_not_quoted() -> None:
    with pytest.raises(ManifestError) as refusal:
        read_manifest(b"label,url\nsecret-label,http://secret.test\n", 10, 9)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_no_more_videos_than_allowed() -> None:
    lines = b"label,url\n" + b"fake,u\n" * 3
    assert len(read_manifest(lines, 3, 9)) == 3
    with pytest.raises(ManifestError, match="more than 2 videos"):
        read_manifest(lines, 2, 9)


@needs_shared("published")
def test_the_authors_sample_of_links_is_a_list() -> None:
    found = read_manifest((SHARED / "published" / "dfw_sample_links.csv").read_bytes(), 10_000, 9)
    assert {each.dataset for each in found} == {"DFW"}
    assert {each.label for each in found} == {"fake"}
    assert all(each.url.startswith("https://") for each in found)


def test_what_serves_need_not_load_what_measures() -> None:
    heavy = "{'sklearn', 'matplotlib', 'pandas'} & {name.split('.')[0] for name in sys.modules}"
    code = f"import sys, service.app, service.cli; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)
