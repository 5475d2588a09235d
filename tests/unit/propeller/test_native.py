"""What real libraries leave running when they are imported, and what a forked child gets back."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from typedflow.run_task import native

PROGRAM = """
import json, os, sys
for name in {modules!r}:
    __import__(name)
from typedflow.run_task import native
setters = native.blas_setters()
read, write = os.pipe()
unfit = native.unfit_to_fork()
if os.fork() == 0:
    native.restore({{}}, setters)
    import numpy
    a = numpy.ones((600, 600))
    a @ a
    threads = len(os.listdir("/proc/self/task"))
    os.write(write, json.dumps([threads, len(setters), sorted(set(os.environ) & set(native.QUIET))]).encode())
    os._exit(0)
os.wait()
print(json.dumps([unfit, *json.loads(os.read(read, 1000))]))
"""


def run(modules: list[str]) -> list:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(modules=modules)],
        env={**os.environ, **native.QUIET}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux only")
@pytest.mark.parametrize(
    "modules",
    [
        ["numpy"],
        ["pandas", "pyarrow"],
        pytest.param(["pandera.pandas"], marks=pytest.mark.slow),
        pytest.param(["sklearn.ensemble", "scipy.linalg"], marks=pytest.mark.slow),
    ],
)
def test_scientific_libraries_may_be_forked_and_children_have_all_cpus(modules):
    for module in modules:
        pytest.importorskip(module.partition(".")[0])
    unfit, threads, pools, left = run(modules)
    assert unfit == ""
    assert pools >= 1
    assert threads == 1 + pools * (len(os.sched_getaffinity(0)) - 1)
    assert left == []


def test_a_process_with_threads_is_not_forked():
    program = (
        "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start();"
        "from typedflow.run_task import native; print(native.unfit_to_fork())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "threads" in done.stdout
