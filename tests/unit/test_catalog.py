"""Catalogs for runs without a server: what the one in a folder promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from typedflow import catalog, errors, literals
from typedflow.pb import catalog_pb2, literals_pb2


def entry(key: str, value: int = 1) -> catalog_pb2.CatalogEntry:
    return catalog_pb2.CatalogEntry(key=key, outputs=literals.as_map({"o0": literals.from_int(value)}))


def holds(kept: catalog.Catalog, key: str) -> int | str:
    found = kept.lookup([key])[0]
    return found.entry.outputs.values[0].value.integer if found.HasField("entry") else found.reason


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_one_process_keeps_another_finds(folder: Path):
    kept = catalog.DiskCatalog(folder)
    assert holds(kept, "b3:1") == "absent"
    assert not folder.exists()
    kept.publish(entry("b3:1", 1))
    kept.publish(entry("b3:2", 2))
    kept.publish(entry("b3:2", 3))
    code = textwrap.dedent(
        f"""
        from typedflow import catalog
        found = catalog.DiskCatalog({str(folder)!r}).lookup(["b3:2", "b3:1"])
        print([each.entry.outputs.values[0].value.integer for each in found])
        """
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "[3, 1]\n"


def test_an_entry_whose_objects_are_gone_is_stale(folder: Path):
    kept = catalog.DiskCatalog(folder)
    blob = kept.store.put_bytes(b"model")
    made = catalog_pb2.CatalogEntry(key="b3:1")
    made.outputs.values.add(name="o0").value.file.blob.CopyFrom(blob)
    kept.publish(made)
    assert kept.lookup(["b3:1"])[0].entry.outputs == made.outputs
    local = kept.store.local_path(blob)
    assert local is not None
    local.unlink()
    assert holds(kept, "b3:1") == "stale"


def test_an_entry_that_points_elsewhere_is_stale(folder: Path, tmp_path: Path):
    kept = catalog.DiskCatalog(folder)
    made = catalog_pb2.CatalogEntry(key="b3:1")
    foreign = catalog.DiskCatalog(tmp_path / "other").store.put_bytes(b"x")
    made.outputs.values.add(name="o0").value.file.blob.CopyFrom(foreign)
    kept.publish(made)
    assert holds(kept, "b3:1") == "stale"


def test_a_file_that_is_only_pointed_at_is_none_of_its_objects(folder: Path):
    kept = catalog.DiskCatalog(folder)
    made = catalog_pb2.CatalogEntry(key="b3:1")
    made.outputs.values.add(name="o0").value.file.blob.uri = "https://example.org/data.csv"
    kept.publish(made)
    assert kept.lookup(["b3:1"])[0].HasField("entry")


def test_a_large_value_is_an_object_and_comes_back_whole(folder: Path):
    kept = catalog.DiskCatalog(folder)
    large = literals_pb2.Literal(string="x" * 3_000_000)
    made = catalog_pb2.CatalogEntry(key="b3:1", outputs=literals.as_map({"o0": large}))
    kept.publish(made)
    assert made.outputs.values[0].value == large  # the caller's stays as it is
    assert kept.lookup(["b3:1"])[0].entry.outputs.values[0].value == large
    assert sum(path.stat().st_size for path in folder.glob("catalog-1.sqlite*")) < 1_000_000


def test_processes_write_side_by_side(folder: Path):
    code = textwrap.dedent(
        f"""
        import sys
        from typedflow import catalog, literals
        from typedflow.pb import catalog_pb2
        kept = catalog.DiskCatalog({str(folder)!r})
        for n in range(200):
            outputs = literals.as_map({{"o0": literals.from_int(n)}})
            kept.publish(catalog_pb2.CatalogEntry(key=f"b3:{{sys.argv[1]}}-{{n}}", outputs=outputs))
        """
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(3)]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    kept = catalog.DiskCatalog(folder)
    assert [holds(kept, f"b3:{p}-{n}") for p in range(3) for n in range(200)] == list(range(200)) * 3


def test_what_was_kept_outlives_a_kill(folder: Path):
    code = textwrap.dedent(
        f"""
        from typedflow import catalog, literals
        from typedflow.pb import catalog_pb2
        kept = catalog.DiskCatalog({str(folder)!r})
        for n in range(1_000_000):
            outputs = literals.as_map({{"o0": literals.from_int(n)}})
            kept.publish(catalog_pb2.CatalogEntry(key=f"b3:{{n}}", outputs=outputs))
            if n % 50 == 0:
                print(n, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = [int(running.stdout.readline()) for _ in range(5)]
        running.send_signal(signal.SIGKILL)
    kept = catalog.DiskCatalog(folder)
    assert [holds(kept, f"b3:{n}") for n in range(said[-1] + 1)] == list(range(said[-1] + 1))
    kept.publish(entry("b3:after"))
    assert holds(kept, "b3:after") == 1


def test_a_process_that_is_forked_opens_the_file_for_itself(folder: Path):
    kept = catalog.DiskCatalog(folder)
    kept.publish(entry("b3:parent"))
    child = os.fork()
    if child == 0:
        kept.publish(entry("b3:child", 7))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert holds(kept, "b3:child") == 7


def test_what_is_no_catalog_is_told(folder: Path):
    folder.mkdir()
    (folder / "catalog-1.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(errors.UsageError, match="delete the folder"):
        catalog.DiskCatalog(folder).lookup(["b3:1"])


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        catalog.DiskCatalog(tmp_path / "file" / "cache").publish(entry("b3:1"))


def test_it_can_be_let_go_of_and_used_again(folder: Path):
    kept = catalog.DiskCatalog(folder)
    kept.publish(entry("b3:1"))
    kept.close()
    assert holds(kept, "b3:1") == 1


def test_a_place_is_a_catalog_or_a_folder(folder: Path):
    memory = catalog.MemoryCatalog()
    assert catalog.at(memory) is memory
    assert catalog.at(None) is None
    found = catalog.at(str(folder))
    assert isinstance(found, catalog.DiskCatalog)
    assert found.folder == folder
