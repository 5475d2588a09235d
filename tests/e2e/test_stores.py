"""D1, C6: a server keeps its objects in a bucket, or in a home that is moved; what becomes of those that are lost."""

import pytest

from tests import s3_server
from tests.e2e import machines
from typedflow.dataplane import addresses, s3

STEPS = """
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from typedflow import Directory, File, task, workflow

    def note(where: str, text: str) -> None:
        with Path(where, "notes").open("a") as notes:
            notes.write(text + "\\n")

    @task(cache=True)
    def table(where: str) -> pd.DataFrame:
        note(where, "table")
        return pd.DataFrame({"x": range(1000)})

    @task(cache=True)
    def many(where: str) -> list[str]:
        note(where, "many")
        return ["x" * 1000] * 2000

    @task(cache=True)
    def numbers(where: str) -> Iterator[int]:
        note(where, "numbers")
        yield from range(5000)

    @task(cache=True)
    def folder(where: str) -> Directory:
        note(where, "folder")
        Path("made").mkdir()
        Path("made", "a.txt").write_text("a")
        return Directory("made")

    @task
    def total(where: str, frame: pd.DataFrame, texts: list[str], ns: Iterator[int], made: Directory) -> File:
        note(where, "total")
        told = [frame.x.sum(), sum(map(len, texts)), sum(ns), (made.path / "a.txt").read_text()]
        Path("total.txt").write_text(" ".join(map(str, told)))
        return File("total.txt")

    @workflow
    def everything(where: str) -> File:
        frame, texts, ns, made = table(where=where), many(where=where), numbers(where=where), folder(where=where)
        return total(where=where, frame=frame, texts=texts, ns=ns, made=made)
"""
TOTAL = b"499500 2000000 12497500 a"


def launched(machine, client):
    """Runs everything; gives the result, and which tasks ran."""
    (machine.folder / "notes").unlink(missing_ok=True)
    run = client.launch("everything", inputs={"where": str(machine.folder)})
    read = run.wait(machines.PATIENCE_S).outputs.o0.read_bytes()
    return read, sorted(machine.notes)


@pytest.mark.slow
def test_d1_a_server_keeps_everything_in_a_bucket_and_makes_again_what_was_deleted_there(
    machine, monkeypatch
):
    with s3_server.running() as port:
        variables = {**s3_server.environment(port), "TYPEDFLOW_STORE": f"s3://{s3_server.BUCKET}/here"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        machine.announced(machine.start("up", "--port", "0", "--http-port", "0"))
        with machine.client() as client:
            client.register(machine.write("in_a_bucket", STEPS))
            assert launched(machine, client) == (TOTAL, ["folder", "many", "numbers", "table", "total"])
            assert launched(machine, client) == (TOTAL, ["total"])
            assert not (machine.home / "objects").exists()
            bucket = s3.Bucket(s3_server.BUCKET, "here")
            parquet = [
                each.key
                for each in bucket.list(addresses.FOLDER)
                if (bucket.get(each.key) or b"")[:4] == b"PAR1"
            ]
            assert len(parquet) == 1
            bucket.delete(parquet)
            assert launched(machine, client) == (TOTAL, ["table", "total"])


@pytest.mark.slow
def test_c6_a_result_whose_bytes_were_changed_is_found_out_and_made_again(machine):
    machine.up()
    with machine.client() as client:
        client.register(machine.write("in_a_folder", STEPS))
        assert launched(machine, client) == (TOTAL, ["folder", "many", "numbers", "table", "total"])
        objects = [path for path in (machine.home / "objects" / "b3").rglob("*") if path.is_file()]
        changed = [path for path in objects if path.read_bytes()[:6] == b"ARROW1"]
        assert len(changed) == 1
        changed[0].chmod(0o644)
        changed[0].write_bytes(
            changed[0].read_bytes().replace((7).to_bytes(8, "little"), (8).to_bytes(8, "little"))
        )
        run = client.launch("everything", inputs={"where": str(machine.folder)})
        run.wait(machines.PATIENCE_S, check=False)
        assert run.phase == "FAILED"
        assert (
            "not what its name says" in run.message.error.message
            or "no longer there" in run.message.error.message
        )
        assert launched(machine, client) == (TOTAL, ["table", "total"])


@pytest.mark.slow
def test_a_home_that_is_moved_keeps_its_results(machine):
    server = machine.up()
    with machine.client() as client:
        client.register(machine.write("to_be_moved", STEPS))
        read, _ = launched(machine, client)
        (before,) = client.runs()
    assert server.stop() == 0
    machine.home = machine.home.rename(machine.folder / "another home")
    machine.up()
    with machine.client() as client:
        assert client.run(before.id).outputs.o0.read_bytes() == read == TOTAL
        assert launched(machine, client) == (TOTAL, ["total"])
