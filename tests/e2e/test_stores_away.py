"""D1: a store that is away for a minute costs the minute: no execution fails, and the server answers meanwhile."""

import threading
import time

import pytest

from tests import s3_server
from tests.e2e import machines

AWAY_S = 60.0
STEPS = """
    import time
    from pathlib import Path
    from typedflow import File, task, workflow

    @task(cache=True)
    def made(n: int) -> File:
        Path("made.txt").write_text("x" * n)
        return File("made.txt")

    @task
    def size(file: File) -> int:
        return len(Path(file).read_text())

    @workflow
    def sized(n: int) -> int:
        return size(file=made(n=n))

    @task
    def waits(where: str, file: File) -> File:
        Path(where, "notes").open("a").write("waits 1\\n")
        while not Path(where, "gate.go").exists():
            time.sleep(0.01)
        Path("more.txt").write_text(Path(file).read_text() + "y")
        return File("more.txt")

    @workflow
    def longer(where: str, n: int) -> int:
        return size(file=waits(where=where, file=made(n=n)))
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_d1_a_store_that_is_away_for_a_minute_costs_the_minute(machine, monkeypatch):
    away = threading.Event()

    def carried(_, data):
        return b"" if away.is_set() else data

    with s3_server.running() as target:
        way = s3_server.Way(target, up=carried, down=carried, refuses=away.is_set)
        with way.open() as port:
            variables = {**s3_server.environment(port), "TYPEDFLOW_STORE": f"s3://{s3_server.BUCKET}/here"}
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            server = machine.up()
            with machine.client() as client:
                client.register(machine.write("in_a_bucket", STEPS))
                for n in range(8):
                    assert client.launch("sized", inputs={"n": n}).wait(machines.PATIENCE_S).outputs.o0 == n
                under_way = client.launch("longer", inputs={"where": str(machine.folder), "n": 100})
                machines.until(lambda: machine.notes, "the task runs")
                away.set()
                machine.open_gate("gate")
                # Eight find entries whose files can't be looked for, and four make new ones that can't be stored.
                runs = {n: client.launch("sized", inputs={"n": n}) for n in range(12)}
                slowest, began = 0.0, time.monotonic()
                while (now := time.monotonic()) < began + AWAY_S:
                    assert len(list(client.runs())) == 21
                    assert client.run(under_way.id).phase == "RUNNING"
                    slowest = max(slowest, time.monotonic() - now)
                    threading.Event().wait(1)
                assert slowest < 10
                away.clear()
                assert under_way.wait(machines.PATIENCE_S).outputs.o0 == 101
                for n, run in runs.items():
                    assert run.wait(machines.PATIENCE_S).outputs.o0 == n
                for run in (under_way, *runs.values()):
                    assert {each.attempts for each in run.nodes} <= {0, 1}
                assert [each.cache for n in range(8) for each in runs[n].nodes if each.id == "made"] == [
                    "HIT"
                ] * 8
            assert server.stop() == 0
    assert "Traceback" not in server.output
    assert "incident" not in server.output
