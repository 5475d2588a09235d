"""Directories: published as a tree of digests, received as private copies, whole or file by file."""

import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Annotated, Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from typedflow import Directory, File, Format, errors, literal_types, literals, task, type_engine, workflow
from typedflow.dataplane import objects
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA, Data, directory_tree

ENGINE = type_engine.standard()
DIRECTORY = ENGINE.converter(Directory)
CSVS = ENGINE.converter(Annotated[Directory, Format("csv")])

TREE = {
    "a/b/deep.txt": "deep",
    "a/x.txt": "x",
    "run.sh": "#!/bin/sh",
    "ü ß.txt": "umlaut",
    ".hidden": "",
    "a.txt": "x",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    write(root, TREE)
    (root / "empty").mkdir()
    (root / "a" / "empty" / "too").mkdir(parents=True)
    (root / "run.sh").chmod(0o755)
    return root


def write(root: Path, tree: dict[str, str]) -> None:
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def seen(root: Path) -> dict[str, Any]:
    """What is in a folder: texts and executable bits of files, None for folders."""
    return {
        path.relative_to(root).as_posix(): (path.read_text(), bool(path.stat().st_mode & 0o100))
        if path.is_file()
        else None
        for path in root.rglob("*")
    }


def publish(
    value: object, data: Data, converter: type_engine.Converter = DIRECTORY
) -> literals_pb2.Directory:
    return converter.to_literal(value, "outputs.o0", data).directory


def receive(
    literal: literals_pb2.Directory, data: Data, converter: type_engine.Converter = DIRECTORY
) -> Directory:
    received = converter.from_literal(literals_pb2.Literal(directory=literal), "inputs.d", data)
    assert isinstance(received, Directory)
    return received


def test_a_received_directory_is_a_path_to_all_that_was_in_it(folder: Path, data: Data) -> None:
    received = receive(publish(Directory(folder), data), data)
    assert seen(received.path) == seen(folder)
    assert Path(str(received)) == Path(received) == received.path
    assert sorted(os.listdir(received)) == sorted(os.listdir(folder))  # noqa: PTH208 - what users write
    assert received.path.is_relative_to(data.folder)
    assert received.path.name == received.name == "tree"
    assert received.digest == Directory(folder).digest
    assert (received.size, len(received), bool(received)) == (sum(map(len, TREE.values())) + 0, 6, True)
    assert repr(received) == "Directory('tree')"


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=4
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
TREES = st.recursive(
    st.binary(max_size=20) | st.tuples(st.binary(max_size=3), st.just("executable")),
    lambda inside: st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=8,
)


def grow(root: Path, tree: Any) -> None:
    if isinstance(tree, dict):
        root.mkdir()
        for name, inside in tree.items():
            grow(root / name, inside)
    elif isinstance(tree, tuple):
        root.write_bytes(tree[0])
        root.chmod(0o755)
    else:
        root.write_bytes(tree)


@given(tree=st.dictionaries(NAMES, TREES, max_size=3))
def test_t2_any_tree_comes_back(tree: dict[str, Any], data: Data) -> None:
    root = data.new_folder() / "tree"
    grow(root, tree)
    literal = publish(Directory(root), data)
    back = receive(literal, data).path
    assert publish(Directory(back), data) == literal
    assert {p.relative_to(root) for p in root.rglob("*")} == {p.relative_to(back) for p in back.rglob("*")}
    assert [each.path for each in literal.entries] == sorted(each.path for each in literal.entries)


def test_what_is_in_it_is_known_without_fetching_anything(folder: Path, data: Data, tmp_path: Path) -> None:
    elsewhere = Data(data.store, tmp_path / "elsewhere")
    received = receive(publish(Directory(folder), data), elsewhere)
    files = received.files()
    assert [file.path for file in files] == list(received) == sorted(TREE)
    assert {file.path: (file.size, file.executable) for file in files} == {
        name: (len(text.encode()), name == "run.sh") for name, text in TREE.items()
    }
    assert next(file.digest for file in files if file.path == "a/x.txt") == File(folder / "a/x.txt").digest
    assert files == Directory(folder).files()
    assert "a/x.txt" in received
    assert "a" not in received
    assert not elsewhere.folder.exists()


class Counting(objects.FolderStore):
    """A store that tells what is asked of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fetched: list[str] = []
        self.put: list[str] = []

    def fetch(self, blob: literals_pb2.Blob, destination: str | os.PathLike[str]) -> None:
        self.fetched.append(Path(destination).name)
        super().fetch(blob, destination)

    def put_file(self, path: str | os.PathLike[str]) -> literals_pb2.Blob:
        self.put.append(Path(path).name)
        return super().put_file(path)


def test_one_file_is_fetched_alone_and_once(folder: Path, tmp_path: Path) -> None:
    store = Counting(tmp_path / "store")
    data = Data(store, tmp_path / "files")
    literal = publish(Directory(folder), data)
    assert sorted(store.put) == sorted(Path(name).name for name in TREE)
    received = receive(literal, data)
    assert received["a/x.txt"].path.read_text() == "x"
    with received.open("a/x.txt") as stream:
        assert stream.read() == b"x"
    assert received[Path("a/x.txt")] is received["a/x.txt"]
    assert store.fetched == ["x.txt"]
    passed = ENGINE.converter(File).to_literal(received["a/b/deep.txt"], "outputs.o0", data).file
    assert passed == ENGINE.converter(File).to_literal(File(folder / "a/b/deep.txt"), "outputs.o0", data).file
    assert store.fetched == ["x.txt"]


def test_a_file_that_is_not_in_it_is_told_with_the_nearest(folder: Path, data: Data) -> None:
    received = receive(publish(Directory(folder), data), data)
    for directory in (received, Directory(folder)):
        for path in ("a/y.txt", "a", "empty", "../tree/a/x.txt", str(folder / "a/x.txt")):
            with pytest.raises(FileNotFoundError, match="there is no such file in Directory"):
                directory.open(path)
    with pytest.raises(FileNotFoundError, match=r"did you mean 'a/x.txt'"):
        _ = received["a/y.txt"]
    with Directory(folder).open("a/x.txt") as stream:
        assert stream.read() == b"x"


def test_e15_each_consumer_has_its_own_copy_and_none_reaches_the_store(folder: Path, data: Data) -> None:
    literal = publish(Directory(folder), data)
    first, second = receive(literal, data), receive(literal, data)
    (first.path / "a/x.txt").write_text("spoilt")
    shutil.rmtree(first.path / "a" / "b")
    assert seen(second.path) == seen(folder)
    assert seen(receive(literal, data).path) == seen(folder)
    assert first["a/x.txt"].path.read_text() == "spoilt"
    with pytest.raises(FileNotFoundError):
        first.open("a/b/deep.txt")


def test_a_received_directory_is_passed_on_as_it_is_unless_the_task_changed_it(
    folder: Path, data: Data
) -> None:
    literal = publish(Directory(folder), data)
    received = receive(literal, data)
    assert publish(received, data) == literal
    assert received.path.is_dir()
    assert publish(received, data) == literal
    for change in (
        lambda path: (path / "a/x.txt").write_text("other"),
        lambda path: (path / "a/x.txt").unlink(),
        lambda path: (path / "a/x.txt").chmod(0o755),
        lambda path: (path / "new").mkdir(),
        lambda path: shutil.rmtree(path / "empty"),
    ):
        changed = receive(literal, data)
        change(changed.path)
        assert publish(changed, data).content != literal.content
        assert seen(receive(publish(changed, data), data).path) == seen(changed.path)


def test_c3_the_content_is_the_tree_of_names_bits_and_digests(folder: Path, data: Data) -> None:
    plain = publish(Directory(folder), data)
    twin = folder.parent / "twin"
    shutil.copytree(folder, twin)
    os.utime(twin / "a.txt", (0, 0))
    assert publish(Directory(twin), data).content == plain.content
    assert publish(Directory(folder), data, CSVS).content != plain.content
    found = {plain.content}
    for i, change in enumerate(
        (
            lambda path: (path / "a.txt").write_text("y"),
            lambda path: (path / "a.txt").rename(path / "b.txt"),
            lambda path: (path / "a.txt").chmod(0o755),
            lambda path: (path / "empty").rmdir(),
            lambda path: (path / "empty" / "file").write_text(""),
            lambda path: (path / "empty").rename(path / "bare"),
        )
    ):
        other = folder.parent / f"other{i}"
        shutil.copytree(folder, other)
        change(other)
        found.add(publish(Directory(other), data).content)
    assert len(found) == 7


def test_c3_the_content_of_a_directory_is_what_the_page_says(tmp_path: Path, data: Data) -> None:
    write(tmp_path / "d", {"a.txt": "x", "run": "y"})
    (tmp_path / "d/e").mkdir()
    (tmp_path / "d/run").chmod(0o700)
    x, y = (f"b3:{blake3(each).hexdigest()}".encode() for each in (b"x", b"y"))
    tree = blake3(b"typedflow:tree:1\0")
    for kind, path, digest in [(b"f", b"a.txt", x), (b"d", b"e", b""), (b"x", b"run", y)]:
        tree.update(
            kind + len(path).to_bytes(8, "little") + len(digest).to_bytes(8, "little") + path + digest
        )
    content = blake3(f"typedflow:directory:1\0b3:{tree.hexdigest()}\0".encode()).hexdigest()
    assert publish(Directory(tmp_path / "d"), data).content == f"b3:{content}"


def test_links_inside_are_followed_and_others_are_refused(folder: Path, data: Data) -> None:
    (folder / "inner").symlink_to("a/x.txt")
    (folder / "again").symlink_to("a", target_is_directory=True)
    received = receive(publish(Directory(folder), data), data)
    assert (received.path / "inner").read_text() == "x"
    assert not (received.path / "inner").is_symlink()
    assert (received.path / "again/b/deep.txt").read_text() == "deep"
    (folder.parent / "outside.txt").write_text("secret")
    for target, words in [
        ("../../outside.txt", "leads out of the folder"),
        ("/etc/passwd", "leads out of the folder"),
        ("../tree-and-more", "does not exist"),
        ("nothing", "does not exist"),
        (".", "a folder that it is in"),
        ("..", "a folder that it is in"),
        ("../..", "leads out of the folder"),
        ("link", "does not exist"),
    ]:
        (folder / "a" / "link").symlink_to(target)
        with pytest.raises(errors.ConversionError, match=words) as caught:
            publish(Directory(folder), data)
        assert caught.value.where == "outputs.o0"
        assert str(folder / "a" / "link") in caught.value.message
        assert caught.value.hint
        (folder / "a" / "link").unlink()


def test_what_is_neither_a_file_nor_a_folder_is_refused(
    tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "d"
    root.mkdir()
    os.mkfifo(root / "pipe")
    with pytest.raises(errors.ConversionError, match=r"pipe.*neither a file nor a folder"):
        publish(Directory(root), data)
    (root / "pipe").unlink()
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        with pytest.raises(errors.ConversionError, match="neither a file nor a folder"):
            publish(Directory("."), data)
    (root / "socket").unlink()
    for name in (b"no text \xff", b"back\\slash"):
        path = os.path.join(os.fsencode(root), name)  # noqa: PTH118 - bytes
        with open(path, "wb"):  # noqa: PTH123
            pass
        with pytest.raises(errors.ConversionError, match="name"):
            publish(Directory(root), data)
        os.unlink(path)  # noqa: PTH108


class Writing(objects.FolderStore):
    """A store in whose hands a file changes."""

    def put_file(self, path: str | os.PathLike[str]) -> literals_pb2.Blob:
        blob = super().put_file(path)
        if Path(path).name == "a.txt":
            Path(path).write_text("changed meanwhile")
        return blob


def test_a_file_that_changes_while_it_is_read_is_an_error(folder: Path, tmp_path: Path) -> None:
    data = Data(Writing(tmp_path / "store"), tmp_path / "files")
    with pytest.raises(errors.ConversionError, match=r"a\.txt.*was changed while it was read"):
        publish(Directory(folder), data)


def test_there_is_a_limit_to_what_a_directory_holds(
    folder: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_tree, "MOST_ENTRIES", 5)
    with pytest.raises(errors.ConversionError, match="more than 5 files and folders"):
        publish(Directory(folder), data)


def test_what_can_not_be_published_is_told_with_its_place(folder: Path, data: Data) -> None:
    for value, words in [
        (Directory(folder / "nothing"), "does not exist"),
        (Directory("nothing"), "does not exist"),
        (Directory(folder / "a.txt"), "it is a file"),
        (str(folder), "expected Directory"),
        (folder, "expected Directory"),
        (File(folder / "a.txt"), "expected Directory"),
        (None, "expected Directory, got None"),
    ]:
        with pytest.raises(errors.ConversionError, match=words) as caught:
            publish(value, data)
        assert caught.value.where == "outputs.o0"
    with pytest.raises(errors.ConversionError, match="folder of this machine"):
        Directory("s3://bucket/folder")
    with pytest.raises(errors.ConversionError, match="takes a path"):
        Directory(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(errors.ConversionError, match="can't be written here as a constant"):
        DIRECTORY.to_literal(Directory(folder), "d", NO_DATA)
    with pytest.raises(errors.ConversionError, match="a literal that holds integer"):
        DIRECTORY.from_literal(literals.from_int(1), "inputs.d", data)


HOSTILE = [
    ["../escape"], ["a/../../escape"], ["/etc/passwd"], ["a/./b"], ["a//b"], [""], ["."], [".."], ["a/"], ["a\\..\\b"],
    ["x\0y"], ["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "a/b"], ["n" * 300],
]  # fmt: skip


@pytest.mark.parametrize("paths", HOSTILE, ids=repr)
def test_s5_a_hostile_list_is_refused_before_anything_is_written(
    paths: list[str], data: Data, tmp_path: Path
) -> None:
    elsewhere = Data(data.store, tmp_path / "elsewhere")
    blob = data.put_bytes(b"x")
    entries = [literals_pb2.DirectoryEntry(path=path, blob=blob) for path in paths]
    literal = literals_pb2.Directory(content=directory_tree.content(entries, ""), name="d", entries=entries)
    with pytest.raises(errors.ConversionError, match="the directory's entry") as caught:
        receive(literal, elsewhere)
    assert caught.value.where == "inputs.d"
    assert not elsewhere.folder.exists()
    if paths not in (["n" * 300], ["x\0y"]):
        entries = [literals_pb2.DirectoryEntry(path=path) for path in paths]
        literal = literals_pb2.Directory(
            content=directory_tree.content(entries, ""), name="d", entries=entries
        )
        with pytest.raises(errors.ConversionError, match="the directory's entry"):
            receive(literal, elsewhere)


@pytest.mark.parametrize("name", ["../../escape", "/etc", "..", "", ".", "a\\b", "n" * 500])
def test_a_name_from_elsewhere_stays_inside_the_folder(name: str, folder: Path, data: Data) -> None:
    literal = publish(Directory(folder), data)
    literal.name = name
    assert receive(literal, data).path.is_relative_to(data.folder)


def test_what_is_listed_must_be_what_the_digest_says(folder: Path, data: Data) -> None:
    literal = publish(Directory(folder), data)
    literal.entries[0].executable = not literal.entries[0].executable
    with pytest.raises(errors.IntegrityError, match="not what its digest says"):
        receive(literal, data)


def test_a_damaged_file_is_told_and_leaves_no_folder(folder: Path, tmp_path: Path) -> None:
    data = Data(objects.FolderStore(tmp_path / "store"), tmp_path / "files")
    literal = publish(Directory(folder), data)
    blob = next(entry.blob for entry in literal.entries if entry.path == "a/x.txt")
    stored = data.local_path(blob)
    assert stored is not None
    stored.chmod(0o644)
    stored.write_text("y")
    received = receive(literal, data)
    for use in (lambda: received.path, lambda: received["a/x.txt"].path):
        with pytest.raises(errors.IntegrityError) as caught:
            use()
        assert caught.value.where == str(stored)
    assert [path for path in data.folder.rglob("*") if path.is_file()] == []


def test_a_format_is_that_of_the_files(folder: Path, data: Data) -> None:
    assert literal_types.text(CSVS.type) == "Directory[csv]"
    literal = publish(Directory(folder), data, CSVS)
    received = receive(literal, data)
    assert (received.format, received["a/x.txt"].format) == ("csv", "csv")
    assert publish(received, data, CSVS) == literal
    with pytest.raises(errors.ConversionError, match=r"expected Directory\[csv\], got Directory"):
        publish(receive(publish(Directory(folder), data), data), data, CSVS)
    with pytest.raises(errors.DefinitionError, match="has one format"):
        ENGINE.converter(Annotated[Directory, Format("csv"), Format("txt")])


def test_directories_in_lists_and_unions_keep_their_places(folder: Path, data: Data) -> None:
    several = ENGINE.converter(list[Directory | File | None])
    literal = several.to_literal([Directory(folder), None, File(folder / "a.txt")], "outputs.o0", data)
    received = several.from_literal(literal, "inputs.d", data)
    assert [type(each) for each in received] == [Directory, type(None), File]
    with pytest.raises(errors.ConversionError) as caught:
        several.to_literal([Directory(folder), Directory(folder / "nothing")], "outputs.o0", data)
    assert caught.value.where.startswith("outputs.o0[1]")


def test_equality_is_by_content_or_by_path(folder: Path, data: Data) -> None:
    literal = publish(Directory(folder), data)
    assert receive(literal, data) == receive(literal, data)
    assert Directory(folder) == Directory(str(folder))
    assert len({Directory(folder), Directory(str(folder)), receive(literal, data)}) == 2


def test_many_threads_may_use_one_received_directory(folder: Path, data: Data) -> None:
    received = receive(publish(Directory(folder), data), data)
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append((received.path / "a/x.txt").read_text()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["x"] * 8


@task
def made(text: str) -> Directory:
    Path("made").mkdir(exist_ok=True)
    Path("made/text.txt").write_text(text)
    return Directory("made")


@task
def read(folder: Directory) -> str:
    return str(folder["text.txt"].path.read_text() + (folder.path / "text.txt").read_text())


@workflow
def there_and_back(text: str) -> str:
    return read(folder=made(text=text))


def test_a_directory_goes_from_task_to_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert there_and_back(text="hello") == "hellohello"
    assert read(folder=made(text="again")) == "againagain"
