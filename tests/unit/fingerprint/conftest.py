"""A small project that refers to its own code in every way the fingerprint follows, and live functions made from it.

Nothing of it is ever imported: a function is made from its compiled code alone, as no fingerprint may run it either.
"""

import types
from pathlib import Path

import pytest

from typedflow import fingerprint

FILES = {
    "pipeline/__init__.py": '"""A package."""\n',
    "pipeline/tasks.py": '''
"""The tasks."""
from __future__ import annotations
import importlib
import math
from collections import OrderedDict as Ordered
import pipeline.shapes
import pipeline.patched
import typedflow
from typedflow import Cache, task
from typedflow import workflow as flow
from . import conf, opaque
from . import models as m
from .decorators import registered, timed
from .helpers import scale, unused_helper, scale as grow
from .facade import deep
from .starred import *
from .entities import task as our_task
from .plugins import *
try:
    from .fast import quick
except ImportError:
    quick = None

LIMIT = 3
LIMIT += 1
UNUSED = 10
if math.pi > 3:
    CONDITIONAL = 1
else:
    CONDITIONAL = 2

def area(side: float, factor: float = conf.FACTOR) -> float:
    return pipeline.shapes.square(side) * factor

def by_name(key):
    return DISPATCH[key]

def first():
    return 1

def second():
    return 2

DISPATCH = {"first": first, "second": second}

@timed
def slow(x):
    return x + 1

async def waits():
    async with conf.opened() as handle:
        return handle

@task(cache=True, retries=1)
def called(x: int) -> int:
    return x * 7

@task(cache=Cache(depends_on=(unused_helper,)), retries=2)
@typedflow.task(timeout=3)
@our_task(retries=4)
def train(x: int, config: m.Config, note: "m.Noted" = None, seed: int = 3) -> float:
    """Trains."""
    from .late import tool
    local_limit = LIMIT  # a comment
    numbers = [scale(i) for i in range(local_limit)]
    ordered = Ordered(a=deep())
    shadow = lambda first_party=None: shadowed(first_party)
    def shadowed(hidden):
        return hidden
    hidden = 4
    total = area(2.0) + by_name("a")() + slow(1) + CONDITIONAL + starry() + tool() + called(2)
    table = opaque.TABLE["x"]
    named = getattr(conf, "NAMED")
    text = f"{total:>{seed}} {hidden!r} done"
    return math.floor(total), numbers, ordered, shadow, table, named, text, waits, grow, quick, m.Child, conf.COUNTER

def hidden():
    return 0

@task
def dynamic_attribute(name: str):
    return getattr(pipeline.shapes, name)

@task
def dynamic_module(name: str):
    return importlib.import_module(f"pipeline.plugins.{name}")

@task
def exact_module():
    return importlib.import_module("pipeline.plugins.one")

@task
def evaluates(text: str):
    return eval(text)

@flow(on_failure=called)
def whole(x: int) -> float:
    return train(x=x)

def factory(k):
    @task
    def made(x):
        return x * k
    return made

if __name__ == "__main__":
    print(train(1))
''',
    "pipeline/conf.py": """
FACTOR = 2.5
UNRELATED = 1
NAMED = "n"
COUNTER = 0
def opened():
    return open
def bump():
    global COUNTER
    COUNTER += 1
""",
    "pipeline/helpers.py": """
import os
from .inner import offset
def scale(x):
    return x * 2 + offset(x)
def unused_helper(x):
    return x - 1
""",
    "pipeline/inner.py": "def offset(x):\n    return x + 10\ndef other():\n    return 5\n",
    "pipeline/shapes.py": """
def square(side):
    return side ** 2
def circle(radius):
    return 3 * radius
print("shapes are loaded")
""",
    "pipeline/models.py": '''
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
import pandera.pandas as pa
from .bases import Base, Mixin as Extra
if TYPE_CHECKING:
    from .inner import other
@dataclass
class Config:
    """A configuration."""
    width: int = 3
    def area(self):
        """Its area."""
        return self.width * 2
class Child(Base):
    rate: float = pa.Field(gt=0, description="a rate")
class Noted(NamedTuple):
    text: str
class Unrelated(Extra):
    a: int
''',
    "pipeline/bases.py": "class Base:\n    size = 1\nclass Mixin:\n    pass\n",
    "pipeline/facade.py": "from .deeper import really_deep as deep\nfrom .inner import other\n",
    "pipeline/deeper.py": "def really_deep():\n    return 'deep'\ndef really_shallow():\n    return 'shallow'\n",
    "pipeline/starred.py": "def starry():\n    return 8\ndef starless():\n    return 9\n",
    "pipeline/late.py": "def tool():\n    return 1\ndef unused_tool():\n    return 2\n",
    "pipeline/fast.py": "def quick():\n    return 0\n",
    "pipeline/entities.py": "from typedflow import task\n",
    "pipeline/opaque.py": "TABLE = {}\nTABLE['x'] = 1\nOTHER = 2\n",
    "pipeline/patched.py": "import pipeline.victim\npipeline.victim.limit = 5\n",
    "pipeline/victim.py": "limit = 4\ndef never_called():\n    return 1\n",
    "pipeline/decorators.py": """
import functools
import logging
logger = logging.getLogger(__name__)
REGISTRY = {}
def timed(function):
    @functools.wraps(function)
    def wrapper(*args):
        logger.info("called")
        return function(*args)
    return wrapper
def registered(function):
    REGISTRY[function.__name__] = function
    return function
""",
    "pipeline/plugins/__init__.py": "from . import two\n",
    "pipeline/plugins/one.py": "def run():\n    return 1\n",
    "pipeline/plugins/two.py": """
from ..decorators import registered
@registered
def run():
    return helper()
def helper():
    return 2
def bystander():
    return 3
""",
    "pipeline/untouched.py": "print('nobody imports this')\ndef f():\n    return 1\n",
    "conf/a.yaml": "lr: 1\n",
    "conf/b.yaml": "lr: 2\n",
}


class Project:
    """The project's files in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in FILES.items():
            self.write(name, text.lstrip("\n"))

    def write(self, name: str, text: str) -> None:
        """Writes a file."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces a text that occurs exactly once in a file."""
        text = (self.root / name).read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def function(self, name: str, file: str = "pipeline/tasks.py") -> types.FunctionType:
        """A live function of a module, as importing it would make, without importing it."""
        path = self.root / file
        pending = [compile(path.read_text(), str(path), "exec")]
        while pending:
            code = pending.pop()
            if code.co_qualname == name:
                cells = tuple(types.CellType() for _ in code.co_freevars)
                made = types.FunctionType(code, {}, code.co_name, closure=cells)
                made.__qualname__ = name
                made.__module__ = ".".join(Path(file).with_suffix("").parts)
                return made
            pending.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
        raise AssertionError(f"no function {name} in {path}")

    def fingerprint(self, name: str, *depends_on: object) -> fingerprint.Fingerprint:
        """The fingerprint of a function of `pipeline.tasks`, as the files are now."""
        return fingerprint.fingerprint(self.function(name), roots=[self.root], depends_on=depends_on)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")
