"""Files: published by content, received as private copies; URLs are pointed at by version."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import fsspec  # type: ignore[import-untyped]  # it publishes no types
import pytest

from typedflow import errors, literals, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA, Data, File, Format

ENGINE = type_engine.standard()
FILE = ENGINE.converter(File)
CSV = ENGINE.converter(Annotated[File, Format("csv")])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system whose URLs are of another scheme."""
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()


def publish(source: object, data: Data, converter: type_engine.Converter = FILE) -> literals_pb2.File:
    return converter.to_literal(source, "outputs.o0", data).file


def receive(file: literals_pb2.File, data: Data, converter: type_engine.Converter = FILE) -> File:
    received = converter.from_literal(literals_pb2.Literal(file=file), "inputs.f", data)
    assert isinstance(received, File)
    return received


def test_a_received_file_is_a_path(table: Path, data: Data) -> None:
    file = receive(publish(File(table), data), data)
    with open(file) as stream:  # noqa: PTH123 - what users write
        assert stream.read() == "a,b\n1,2\n"
    assert Path(str(file)) == Path(file) == file.path
    assert file.path.name == file.name == "table.csv"
    assert file.path.is_relative_to(data.folder)
    assert file.size == table.stat().st_size
    assert file.digest == File(table).digest
    assert repr(file) == "File('table.csv')"
    with file.stream() as stream:
        assert stream.read() == table.read_bytes()


def test_a_received_file_is_fetched_when_it_is_used_and_not_before(
    table: Path, data: Data, tmp_path: Path
) -> None:
    literal = publish(File(table), data)
    other = Data(data.store, tmp_path / "elsewhere")
    file = receive(literal, other)
    assert (file.size, file.name, file.format, file.digest) == (8, "table.csv", "", literal.blob.digest)
    with file.stream() as stream:
        assert stream.read(3) == b"a,b"
    assert not other.folder.exists()
    assert file.path == file.path
    assert other.folder.exists()


def test_e15_each_consumer_has_its_own_copy_and_none_reaches_the_store(table: Path, data: Data) -> None:
    literal = publish(File(table), data)
    first, second = receive(literal, data), receive(literal, data)
    first.path.write_text("spoilt")
    assert second.path.read_text() == "a,b\n1,2\n"
    assert receive(literal, data).path.read_text() == "a,b\n1,2\n"
    assert first.path != second.path


def test_a_received_file_is_passed_on_as_it_is_unless_the_task_wrote_to_it(table: Path, data: Data) -> None:
    literal = publish(File(table), data, CSV)
    file = receive(literal, data, CSV)
    assert publish(file, data, CSV) == literal
    assert file.path.is_file()
    assert publish(file, data) == literal
    file.path.write_text("a,b\n3,4\n5,6\n")
    changed = publish(file, data)
    assert changed.content != literal.content
    assert (changed.name, changed.format) == ("table.csv", "csv")
    assert receive(changed, data).path.read_text() == "a,b\n3,4\n5,6\n"


def test_c3_a_files_content_is_its_bytes_and_format_and_not_its_name(table: Path, data: Data) -> None:
    twin = table.with_name("twin.csv")
    twin.write_bytes(table.read_bytes())
    os.utime(twin, (0, 0))
    plain = publish(File(table), data)
    assert publish(File(twin), data).content == plain.content
    assert publish(File(table), data, CSV).content != plain.content
    twin.write_text("other")
    assert publish(File(twin), data).content != plain.content


def test_c3_the_content_of_a_file_never_changes(table: Path, data: Data) -> None:
    table.write_bytes(b"golden")
    assert (
        publish(File(table), data).content
        == "b3:d0743eb8eaf1a61b5a11e5c1bae9790a101e4d68c169e48d8e3216c58b8e6a15"
    )
    assert (
        publish(File(table), data, CSV).content
        == "b3:df74487b07ac454a472100a2d89102a301b1c89370efe4aa889032ec6982113b"
    )


def test_a_file_that_its_task_deleted_is_told(table: Path, data: Data) -> None:
    made = File(table)
    received = receive(publish(made, data), data)
    received.path.unlink()
    table.unlink()
    for each in (made, received):
        with pytest.raises(errors.ConversionError, match="there is no file") as caught:
            publish(each, data)
        assert caught.value.where == "outputs.o0"


def test_d3_a_task_that_writes_to_a_file_that_it_is_given_changes_no_object(table: Path, data: Data) -> None:
    literal = publish(File(table), data)
    first, second = receive(literal, data), receive(literal, data)
    first.path.write_text("mine")
    assert second.path.read_text() == "a,b\n1,2\n"
    assert data.store.read_bytes(literal.blob) == b"a,b\n1,2\n"


def test_a_damaged_object_is_told_and_leaves_no_file(table: Path, data: Data, tmp_path: Path) -> None:
    table.write_text("to be damaged")
    literal = publish(File(table), data)
    stored = data.local_path(literal.blob)
    assert stored is not None
    stored.chmod(0o644)
    stored.write_text("damaged")
    fresh = Data(data.store, tmp_path / "fresh")
    with pytest.raises(errors.IntegrityError):
        _ = receive(literal, fresh).path
    assert [path for path in fresh.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name", ["../../escape", "/etc/passwd", "a\\b", "..", "", ".", "x\0y", "n" * 500, "ü" * 300]
)
def test_a_name_from_elsewhere_stays_inside_the_folder(name: str, table: Path, data: Data) -> None:
    literal = publish(File(table), data)
    literal.name = name
    assert receive(literal, data).path.is_relative_to(data.folder)
    assert receive(literal, data).path.read_text() == "a,b\n1,2\n"


def test_what_can_not_be_published_is_told_with_its_place(tmp_path: Path, data: Data) -> None:
    for value, words in [
        (File(tmp_path / "missing.bin"), "there is no file"),
        (File(tmp_path), "is a folder"),
        ("model.joblib", "expected File"),
        (tmp_path, "expected File"),
        (File("memory://nowhere/x"), "there is nothing at"),
        (File("nothing-like-it://x"), "can't be read"),
    ]:
        with pytest.raises(errors.ConversionError) as caught:
            publish(value, data)
        assert caught.value.where == "outputs.o0"
        assert words in caught.value.message
    for wrong in ("", b"bytes", 5, None):
        with pytest.raises(errors.ConversionError, match="a path or a URL"):
            File(wrong)  # type: ignore[arg-type]


def test_a_file_can_not_be_a_constant_of_a_definition(table: Path) -> None:
    with pytest.raises(errors.ConversionError, match="can't be written here as a constant"):
        FILE.to_literal(File(table), "n", NO_DATA)


def test_t5_a_file_of_another_format_is_refused(table: Path, data: Data) -> None:
    parquet = ENGINE.converter(Annotated[File, Format("parquet")])
    literal = publish(File(table), data, CSV)
    with pytest.raises(errors.ConversionError, match="format"):
        receive(literal, data, parquet)
    with pytest.raises(errors.ConversionError, match="format"):
        publish(receive(literal, data), data, parquet)
    assert receive(literal, data).format == "csv"
    with pytest.raises(errors.ConversionError):
        FILE.from_literal(literals.from_str("x"), "inputs.f", data)


def test_a_format_is_written_one_way() -> None:
    assert Format("tar.gz").name == "tar.gz"
    for wrong in (".csv", "CSV", "", "a b", 5):
        with pytest.raises(errors.DefinitionError):
            Format(wrong)  # type: ignore[arg-type]
    with pytest.raises(errors.DefinitionError, match="one format"):
        ENGINE.converter(Annotated[File, Format("csv"), Format("json")])


def test_files_are_equal_when_they_are_the_same(table: Path, data: Data) -> None:
    literal = publish(File(table), data)
    assert receive(literal, data) == receive(literal, data)
    assert len({receive(literal, data), receive(literal, data), File(table), File(str(table))}) == 2
    assert File(table) != File(table.with_name("other"))
    assert File(table) != receive(literal, data)


def test_a_received_file_goes_to_another_process(table: Path, data: Data) -> None:
    file = pickle.loads(pickle.dumps(receive(publish(File(table), data), data)))
    assert file.path.read_text() == "a,b\n1,2\n"


def test_c3_a_url_is_keyed_by_its_version_and_its_bytes_are_not_published(table: Path, data: Data) -> None:
    url = table.as_uri()
    before = publish(File(url), data)
    assert (before.blob.uri, before.blob.digest, before.blob.size, before.name) == (url, "", 8, "table.csv")
    assert publish(File(url), data).content == before.content
    file = receive(before, data)
    assert file.path.read_text() == "a,b\n1,2\n"
    assert file.path != table
    with receive(before, data).stream() as stream:
        assert stream.read() == table.read_bytes()
    os.utime(table, (1, 1))
    assert publish(File(url), data).content != before.content
    with pytest.raises(errors.IntegrityError, match="has changed since"):
        _ = receive(before, data).path
    with pytest.raises(errors.IntegrityError, match="has changed since"):
        receive(before, data).stream()


def test_c3_a_url_without_a_version_is_never_the_same_twice(
    memory: fsspec.AbstractFileSystem, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/bucket/x.bin", b"bytes")
    monkeypatch.setattr(type(memory), "info", lambda *_, **__: {"size": 5, "type": "file"})
    first, second = (publish(File("memory://bucket/x.bin"), data) for _ in range(2))
    assert first.content != second.content
    assert receive(first, data).path.read_bytes() == b"bytes"


@pytest.mark.parametrize("key", ["ETag", "generation", "etag", "LastModified"])
def test_c3_any_version_token_of_an_object_store_will_do(
    key: str, memory: fsspec.AbstractFileSystem, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "1"
    monkeypatch.setattr(type(memory), "info", lambda *_, **__: {"size": 5, "type": "file", key: token})
    first = publish(File("memory://bucket/x.bin"), data)
    assert publish(File("memory://bucket/x.bin"), data) == first
    assert publish(File("memory://bucket/y.bin"), data).content != first.content
    token = "2"
    assert publish(File("memory://bucket/x.bin"), data).content != first.content


def test_c3_a_copied_url_is_keyed_by_its_bytes(
    table: Path, memory: fsspec.AbstractFileSystem, data: Data
) -> None:
    memory.pipe("/bucket/table.csv", table.read_bytes())
    copied = publish(File("memory://bucket/table.csv", copy=True), data)
    assert copied == publish(File(table), data)
    memory.rm("/bucket/table.csv")
    assert receive(copied, data).path.read_text() == "a,b\n1,2\n"


def test_a_url_has_no_path_before_it_is_received() -> None:
    with pytest.raises(errors.UsageError, match="no local path"):
        _ = File("s3://bucket/x").path
    assert str(File("s3://bucket/x")) == "s3://bucket/x"
    assert File("s3://bucket/folder/x%20y.csv?versionId=3").name == "x y.csv"


def test_c3_bytes_that_are_said_to_be_others_are_refused(table: Path, tmp_path: Path, data: Data) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n3,4\n")
    literal = publish(File(other), data, CSV)
    literal.content = publish(File(table), data, CSV).content
    with pytest.raises(errors.IntegrityError, match="not what its content digest says"):
        receive(literal, data, CSV)
