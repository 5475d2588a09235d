"""A small project whose steps note that they ran, as files of a folder; edits of it are in `table`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

FILES = {
    "pipeline.py": '''
"""Reads numbers, cleans them, fits a model and writes a page."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import NamedTuple

import tinylib
from typedflow import Cache, File, map_task, task, workflow

import lib.constants
from lib import cleaning, models
from lib.facade import scaled
from lib.tables import STEPS


def ran(step: str) -> None:
    """Notes that a step ran."""
    with Path(os.environ["RAN"]).open("a") as notes:
        notes.write(step + "\\n")


def timed(function):
    @functools.wraps(function)
    def wrapper(**arguments):
        return function(**arguments)

    return wrapper


class Page(NamedTuple):
    """What comes out."""

    title: str
    lines: int


@task(cache=True, retries=1)
def load(source: File) -> list[float]:
    """Reads one number a line."""
    ran("load")
    # Blank lines are nothing.
    return [float(line) for line in Path(source).read_text().split()]


@task(cache=True)
@timed
def clean(numbers: list[float], limit: int = 3) -> list[float]:
    ran("clean")
    kept = [cleaning.clip(each, limit) for each in numbers if not math.isnan(each)]
    return [STEPS["shift"](scaled(each)) for each in kept]


@task(cache=Cache(ignored_inputs=("verbose",), depends_on=("conf/fit.yaml",)), environment={"MODE": "fast"})
def fit(numbers: list[float], config: models.Config, verbose: bool = False) -> models.Fitted:
    ran("fit")
    rate = lib.constants.RATE if config.kind is models.Kind.LINEAR else 0.0
    return models.Fitted(mean=tinylib.mean(numbers) * rate, width=config.width)


@task(cache=Cache(version="1", salt="a"))
def judge(fitted: models.Fitted) -> bool:
    ran("judge")
    return fitted.mean > lib.constants.THRESHOLD


@task(cache=True)
def write(fitted: models.Fitted, good: bool) -> Page:
    ran("write")
    text = f"{fitted.mean:.2f} {'good' if good else 'bad'}"
    return Page(title=text, lines=len(text.split()))


@task(cache=True)
def double(x: int) -> int:
    ran(f"double {x}")
    return 2 * x


def unused() -> int:
    return 1


UNUSED = 1


@workflow
def pipeline(source: File, limit: int = 3, verbose: bool = False, width: int = 2) -> Page:
    numbers = clean(numbers=load(source=source), limit=limit)
    fitted = fit(numbers=numbers, config=models.Config(width=2), verbose=verbose)
    map_task(double, concurrency=2)(x=[1, 2, 3])
    return write(fitted=fitted, good=judge(fitted=fitted))


if __name__ == "__main__":
    print("a script")
''',
    "lib/__init__.py": '"""Helpers."""\n',
    "lib/constants.py": "RATE = 2.0\nTHRESHOLD = 1.0\nOTHER = 5\n",
    "lib/cleaning.py": '''
"""Cleaning."""

from lib import bounds


def clip(value: float, limit: int) -> float:
    """Keeps a value under the limit."""
    return min(value, bounds.upper(limit))


def unused(value: float) -> float:
    return -value
''',
    "lib/bounds.py": "def upper(limit: int) -> float:\n    return limit * 100.0\n",
    "lib/facade.py": "from lib.deep import scale as scaled\nfrom lib.deep import other\n",
    "lib/deep.py": "def scale(x):\n    return x * 1.0\n\n\ndef other(x):\n    return x\n",
    "lib/tables.py": """
def shift(x):
    return x + 0.5


def drop(x):
    return 0.0


STEPS = {"shift": shift, "drop": drop}
""",
    "lib/models.py": '''
"""What goes between steps."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from lib.bases import Base


class Kind(enum.Enum):
    LINEAR = "linear"
    FLAT = "flat"


@dataclass
class Config(Base):
    """How it is fitted."""

    width: int = 3
    kind: Kind = Kind.LINEAR

    def area(self) -> int:
        """Its area."""
        return self.width * 2


@dataclass
class Fitted:
    mean: float
    width: int


class Unrelated:
    size = 1
''',
    "lib/bases.py": "class Base:\n    size = 1\n",
    "conf/fit.yaml": "steps: 3\n",
    "conf/other.yaml": "steps: 3\n",
    "notes.md": "Nothing to do with it.\n",
    "data/numbers.txt": "1\n2\n3\n4\n",
    "../site/tinylib/__init__.py": "def mean(xs):\n    return sum(xs) / len(xs)\n",
    "../site/tinylib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinylib\nVersion: 1.0\n",
    "../site/tinylib-1.0.dist-info/RECORD": "tinylib/__init__.py,,\ntinylib-1.0.dist-info/METADATA,,\n",
    "../site/tinylib-1.0.dist-info/top_level.txt": "tinylib\n",
}


@dataclass
class Project:
    """The project's files in a folder, a library beside it, and how it is run."""

    folder: Path
    inputs: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    workflow: str = "pipeline"
    source: str = "data/numbers.txt"
    # In an interpreter that was started with this PYTHONHASHSEED, in the place of one that was forked.
    hash_seed: str = ""

    @classmethod
    def made(cls, folder: Path) -> Project:
        """The project as it is before any edit."""
        for name, text in FILES.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.lstrip("\n"))
        return cls(folder)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replaces a text that occurs exactly once in a file."""
        file = self.folder / name
        text = file.read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        file.write_text(text.replace(old, new))

    def moved(self, to: Path) -> None:
        """Is in another folder from here on."""
        shutil.move(self.folder, to)
        self.folder = to

    def release_library(self, version: str) -> None:
        """Installs another version of the library that it uses."""
        for file in sorted((self.folder / "../site").glob("tinylib-*/*")):
            file.write_text(file.read_text().replace("1.0", version))
        site = self.folder / "../site"
        (site / "tinylib-1.0.dist-info").rename(site / f"tinylib-{version}.dist-info")


@dataclass(frozen=True)
class Edit:
    """One edit, and the steps that have to run again because of it; no others may."""

    name: str
    change: Callable[[Project], object]
    runs: tuple[str, ...] = ()


def text(name: str, file: str, old: str, new: str, *runs: str) -> Edit:
    """An edit of a file."""
    return Edit(name, lambda project: project.replace(file, old, new), runs)
