"""CSV manifests: what rows mean, and sentences for rows that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_export.data.readers import ReaderOptions, read, read_dataset
from model_export.errors import DataError
from tests.unit.model_export.data.trees import names, parts, touch


def manifest(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    touch(folder / "videos", ["a.mp4", "b.mp4", "c.mp4", "d.mp4"])
    path = folder / "all.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def test_rows_become_videos(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        "Path,label, method ,split,group,people,sources,id,twin,remark",
        "videos/a.mp4,real,,train,anna,,,one,,sunny",
        'videos/b.mp4,FAKE,FS,train,anna,"anna; ben",a;x,two,one,"more, or less"',
        f"{tmp_path}/videos/c.mp4,fake,,val,,,,,,",
        encoding="utf-8-sig",
    )
    one, two, third = read_dataset(path, ReaderOptions())
    assert (one.id, one.method, one.part) == ("one", "real", "train")
    assert one.people == one.sources == {"anna"}
    assert (two.label, two.method, two.twin) == ("fake", "FS", "one")
    assert two.people == {"anna", "ben"}
    assert two.sources == {"a", "x", "anna"}
    assert (third.method, third.part) == ("fake", "validation")
    assert third.people == third.sources == {third.id}
    assert Path(one.location) == tmp_path / "videos/a.mp4"


def test_an_address_stays_an_address(tmp_path: Path) -> None:
    address = "https://video.example/watch?v=1;2"
    path = manifest(tmp_path, "url,label,dataset", f"{address},fake,DFW")
    (only,) = read_dataset(path, ReaderOptions())
    assert only.location == address
    assert only.method == "DFW"
    assert only.id.startswith("https-video.example-watch-v-1-2-")


def test_parts_are_drawn_where_no_row_has_one(tmp_path: Path) -> None:
    rows = [f"http://v/{n}.mp4,{label},{n}" for n in range(8) for label in ("real",)]
    rows += [f"http://v/{n}f.mp4,fake,{n}" for n in range(8)]
    found = parts(read_dataset(manifest(tmp_path, "url,label,group", *rows), ReaderOptions()))
    assert set(found.values()) == {"train", "validation", "test"}


def test_shared_groups_give_way_or_are_refused(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        "path,label,split,group",
        "videos/a.mp4,real,train,anna",
        "videos/b.mp4,fake,test,anna",
        "videos/c.mp4,fake,train,ben",
    )
    reading = read(path, ReaderOptions())
    assert [Path(each.location).name for each in reading.videos] == ["b.mp4", "c.mp4"]
    assert names(reading.left_out) == ["a.mp4"]
    with pytest.raises(DataError, match=r"a\.mp4 \(train\) and .*b\.mp4 \(test\).*anna"):
        read(path, ReaderOptions(overlap="refuse"))


def test_a_twin_is_shared_even_where_nothing_says_so(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        "path,label,split,id,twin",
        "videos/a.mp4,real,test,a,",
        "videos/b.mp4,fake,train,b,a",
    )
    assert names(read(path, ReaderOptions()).left_out) == ["b.mp4"]


def test_missing_files_are_named_and_not_read(tmp_path: Path) -> None:
    path = manifest(tmp_path, "path,label", "videos/a.mp4,real", "videos/z.mp4,real")
    reading = read(path, ReaderOptions())
    assert len(reading.videos) == 1
    (rows,) = reading.collections
    assert (rows.found, rows.expected) == (1, 2)
    assert rows.missing == (str(tmp_path / "videos/z.mp4"),)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "all.csv is empty"),
        (["path,label"], "all.csv has a header and no rows"),
        (["videos/a.mp4,real,train"], "all.csv, line 1: no header with the columns label"),
        (["path,split", "a.mp4,train"], "all.csv, line 1: no header with the columns label"),
        (["label,split", "real,train"], "all.csv, line 1: no header with the columns label"),
        (["path,label", "a.mp4,"], "all.csv, line 2: the label is missing"),
        (["path,label", "a.mp4"], "all.csv, line 2: the label is missing"),
        (["path,label", "a.mp4,deepfake"], "all.csv, line 2: the label is 'deepfake'"),
        (["path,label,method", "a,real,DF"], "all.csv, line 2: the label is real, but the method"),
        (["path,label,method", "a,fake,real"], "line 2: the label is fake, but the method is real"),
        (["path,label,split", "a,real,dev"], "line 2: the split is 'dev', not train, validation"),
        (["path,label,split", "a,real,train", "b,real,"], "line 3: the split is missing"),
        (["path,label,id", "a,real,x", "b,real,x"], "all.csv, line 3: the id x is there already"),
        (["path,label", "a.mp4,real", "", "a.mp4,real"], "line 4: the id a is there already"),
        (["path,label,id", "a,real,x/y"], "line 2: the id 'x/y' is not fit for a file name"),
        (["path,label,twin", "a,fake,x"], "line 2: the twin x is not the id of a real video"),
        (["path,label,id,twin", "a,fake,x,x"], "line 2: the twin x is not the id of a real"),
        (["path,url,label", "a,http://b,real"], "line 2: more than one location"),
        (["path,label", ",real"], "all.csv, line 2: no file and no address"),
        (["path,label", "a,real,more"], "line 2: more cells than the header has columns"),
        (["path,label", 'a,"real'], "all.csv is not a CSV file"),
    ],
)
def test_wrong_rows_are_named_by_file_and_line(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(DataError) as refused:
        read_dataset(manifest(tmp_path, *lines), ReaderOptions())
    assert message in str(refused.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"path,label\n\xff\xfe,real\n")
    with pytest.raises(DataError, match=r"video\.mp4 is not a CSV file in UTF-8"):
        read_dataset(path, ReaderOptions())
