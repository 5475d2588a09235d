"""Programs' way to a typedflow server: register, launch, wait, look.

with Client() as c:
    c.register("pipeline.py", version="v3")
    run = c.launch("nightly", inputs={"trees": 400})
    run.wait()
    print(run.outputs.accuracy, [n.cache for n in run.nodes])
"""

from typedflow.client.connection import Client
from typedflow.client.runs import TERMINAL, Node, RemoteDirectory, RemoteValue, Run, cache_status, phase

__all__ = ["TERMINAL", "Client", "Node", "RemoteDirectory", "RemoteValue", "Run", "cache_status", "phase"]
