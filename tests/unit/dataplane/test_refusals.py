"""E5, D1: a file system that is full or refuses is told clearly at every write, and leaves nothing half written."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from typedflow import errors
from typedflow.dataplane import digests, objects, offload

# No file may be larger than the limit, as if the disk were full at that byte; each way of writing meets it at several.
FULL = """
import json, resource, sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from typedflow import Directory, File, errors, literals, type_engine
from typedflow.dataplane import addresses, digests, objects, offload
from typedflow.type_engine import frame_files

digests.CHUNK_SIZE = 3000
frame_files._IN_MEMORY = 1000
folder = Path(sys.argv[1])
engine = type_engine.standard()
content = np.random.default_rng(0).bytes(10_000)
(folder / "source").write_bytes(content)
(folder / "tree").mkdir()
for n in range(3):
    (folder / "tree" / str(n)).write_bytes(content[n:])
numbers = np.arange(1000.0)
kept = objects.FolderStore(folder / "kept")
blob = kept.put_file(folder / "source")


def convert(annotation, value):
    return lambda data: engine.converter(annotation).to_literal(value() if callable(value) else value, "o", data)


WAYS = {
    "bytes": lambda data: data.store.put_bytes(content),
    "file": lambda data: data.store.put_file(folder / "source"),
    "chunks": lambda data: data.store.put_chunks([content[:4000], content[4000:]]),
    "a large literal": lambda data: offload.offload(literals.from_str("x" * 9000), data.store, limit=0),
    "File": convert(File, File(folder / "source")),
    "Directory": convert(Directory, Directory(folder / "tree")),
    "array": convert(np.ndarray, numbers),
    "frame": convert(pa.Table, pa.table({"x": numbers})),
    "stream": convert(Iterator[int], lambda: iter(range(2000))),
    "fetching": lambda data: type_engine.Data(kept, data.folder).fetch(blob, data.folder / "f"),
}
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
told = {}
for name, way in WAYS.items():
    refused = 0
    for limit in (0, 1, 100, 260, 2999, 3000, 5000, 7999, 9999, -1):
        place = folder / name / str(limit)
        data = type_engine.Data(objects.FolderStore(place / "store"), place / "files")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if limit < 0 else limit, hard))
        try:
            way(data)
        except errors.StorageError as error:
            assert "File too large" in str(error) and error.hint == "make room on that disk", error
            assert str(place) in error.where, error.where
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        files = [path for path in place.rglob("*") if path.is_file()]
        assert not [path for path in files if "incoming" in str(path) or path.name[0] == "."], files
        for stored in data.store.list():
            with data.store.open(addresses.blob(stored.digest, stored.size)) as file:
                file.read()
        way(data)
    told[name] = refused
print(json.dumps(told))
"""


def test_e5_a_disk_that_is_full_is_told_at_every_write_and_leaves_nothing_half(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 10
    assert min(told.values()) >= 5, told


READ_ONLY = """
import os, sys
from pathlib import Path
from typedflow import errors
from typedflow.dataplane import objects

folder = Path(sys.argv[1])
warm = objects.FolderStore(folder / "warm")
blob = warm.put_file(__file__ if "__file__" in globals() else "/etc/hostname")  # what is imported late is
warm.fetch(blob, folder / "warm" / "f")
store = objects.FolderStore(folder / "home" / "objects")
kept = store.put_bytes(b"kept")
for path in (folder / "home" / "objects" / ".incoming", folder / "home" / "objects"):
    path.chmod(0o555)
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)  # nothing is read-only to root
fetch = lambda: store.fetch(kept, store.root / "f")
for use in (lambda: store.put_bytes(b"x"), lambda: store.put_chunks([b"y"]), fetch):
    try:
        use()
    except errors.StorageError as error:
        print(error.message, "|", error.hint)
print(store.read_bytes(kept))
"""


def test_e5_a_home_that_is_read_only_is_told_and_still_read():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            done = subprocess.run(
                [sys.executable, "-c", READ_ONLY, folder], capture_output=True, text=True, check=False
            )
        finally:
            for path in (folder / "home").rglob("*"):
                if path.is_dir():
                    path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    *refused, read = done.stdout.splitlines()
    assert len(refused) == 3
    for line in refused:
        assert line.startswith("the file system refuses: Permission denied | ")
        assert "TYPEDFLOW_HOME" in line
    assert read == "b'kept'"


def test_e5_a_file_in_the_way_of_the_store_is_told(tmp_path):
    (tmp_path / "objects").write_text("in the way")
    store = objects.open_store(str(tmp_path / "objects"))
    for use in (
        lambda: store.put_bytes(b"x"),
        lambda: store.put_chunks([b"x"]),
        lambda: store.put_file(__file__),
    ):
        with pytest.raises(errors.StorageError, match="refuses") as caught:
            use()
        assert caught.value.where.startswith(str(tmp_path / "objects"))
    assert list(store.list()) == []


def test_c6_what_is_found_damaged_is_gone_for_whoever_looks_it_up_and_can_be_made_again(tmp_path):
    store = objects.FolderStore(tmp_path)
    for read in (store.read_bytes, lambda blob: store.open(blob).read(), store.checked_path):
        blob = store.put_bytes(b"a result")
        stored = store.local_path(blob)
        assert stored is not None
        stored.chmod(0o644)
        stored.write_bytes(b"another!")
        assert store.exists([blob]) == [True]  # nobody has looked yet
        with pytest.raises(errors.IntegrityError, match="not what its name says"):
            read(blob)
        assert store.exists([blob]) == [False]
        assert (tmp_path / ".damaged" / stored.name).read_bytes() == b"another!"
        assert store.put_bytes(b"a result") == blob
        assert store.read_bytes(blob) == b"a result"
    store.drop_unfinished(0)
    assert list((tmp_path / ".damaged").iterdir()) == []


def test_an_object_that_was_cut_short_is_written_again(tmp_path):
    store = objects.FolderStore(tmp_path / "store")
    (tmp_path / "file").write_bytes(b"a result")
    for put in (
        lambda: store.put_bytes(b"a result"),
        lambda: store.put_chunks([b"a result"]),
        lambda: store.put_file(tmp_path / "file"),
    ):
        blob = put()
        stored = store.local_path(blob)
        assert stored is not None
        stored.chmod(0o644)
        stored.write_bytes(b"a res")
        assert put() == blob
        assert store.read_bytes(blob) == b"a result"


def test_a_list_of_chunks_that_is_lost_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "CHUNK_SIZE", 1000)
    store = objects.FolderStore(tmp_path)
    blob = store.put_bytes(os.urandom(2500))
    chunks = store.chunks(blob.digest)
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"nonsense")):
        listed = Path(f"{tmp_path / blob.uri}.chunks")
        listed.chmod(0o644)
        damage(listed)
        with store.open(blob) as stream:
            assert digests.of_bytes(stream.read()) == blob.digest
        assert store.chunks(blob.digest) == chunks


def test_an_offloaded_value_that_is_gone_is_told(tmp_path):
    from typedflow import literals

    store = objects.FolderStore(tmp_path)
    away = offload.offload(literals.from_str("x" * 1000), store, limit=0)
    store.delete([away.offloaded.blob.digest])
    with pytest.raises(errors.IntegrityError, match="no longer there") as caught:
        offload.load(away, store)
    assert caught.value.code == "ObjectMissing"
