"""What has to run again after an edit, and what must not. To add a case, add a row; docs/reruns.md shows the table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tests.e2e.reruns.project import Edit, Project, text

FLOW, MODELS, CONSTANTS = "pipeline.py", "lib/models.py", "lib/constants.py"
FOLLOWED = ("load", "clean", "fit", "write", "double 1", "double 2", "double 3")
"""Steps whose code is followed, in the place of a version that the author gives."""
ALL = ("load", "clean", "fit", "judge", "write", "double 1", "double 2", "double 3")


def _set(name: str, value: object) -> Callable[[Project], object]:
    return lambda project: project.inputs.update({name: value})


def _environment(name: str, value: str) -> Callable[[Project], object]:
    return lambda project: project.environment.update({name: value})


def _touch(project: Project) -> None:
    os.utime(project.folder / project.source, (1, 1))


def _rename_source(project: Project) -> None:
    (project.folder / project.source).rename(project.folder / "data/other.txt")
    project.source = "data/other.txt"


def _with_resources(project: Project) -> None:
    project.replace(FLOW, "import Cache,", "import Cache, Resources,")
    project.replace(
        FLOW, "@task(cache=True)\ndef write(", '@task(cache=True, resources=Resources(cpu="2"))\ndef write('
    )


def _with_a_timeout(project: Project) -> None:
    project.replace(FLOW, "from typing import", "from datetime import timedelta\nfrom typing import")
    timed = "@task(cache=True, timeout=timedelta(minutes=1))\ndef write("
    project.replace(FLOW, "@task(cache=True)\ndef write(", timed)


def _with_an_effect(project: Project) -> None:
    (project.folder / "lib/effects.py").write_text("print(end='')\n")
    project.replace(FLOW, "import lib.constants\n", "import lib.constants\nimport lib.effects\n")


def _recompiled(project: Project) -> None:
    project.hash_seed = "12345"


CODE = [
    text(
        "the body of a step, and what it gives",
        FLOW,
        "[cleaning.clip(each, limit)",
        "[1 + cleaning.clip(each, limit)",
        "clean",
        "fit",
        "judge",
        "write",
    ),
    text(
        "the body of a step, which gives the same",
        FLOW,
        "if not math.isnan(each)]",
        "if each == each]",
        "clean",
    ),
    text("a constant in a body", FLOW, "{fitted.mean:.2f}", "{fitted.mean:.3f}", "write"),
    text("a string in a body", FLOW, "'good'", "'fine'", "write"),
    text(
        "a called function", "lib/cleaning.py", "min(value,", "max(value,", "clean", "fit", "judge", "write"
    ),
    text("a called function's callee", "lib/bounds.py", "100.0", "2.0", "clean"),
    text("a callee's default argument", "lib/bounds.py", "limit: int)", "limit: int = 1)", "clean"),
    text(
        "a function behind a re-export", "lib/deep.py", "x * 1.0", "x * 2.0", "clean", "fit", "judge", "write"
    ),
    text(
        "a re-export that leads elsewhere",
        "lib/facade.py",
        "import scale as scaled",
        "import other as scaled",
        "clean",
    ),
    text(
        "a function in a dispatch table",
        "lib/tables.py",
        "x + 0.5",
        "x + 0.25",
        "clean",
        "fit",
        "judge",
        "write",
    ),
    text(
        "a dispatch table",
        "lib/tables.py",
        '"shift": shift',
        '"shift": drop',
        "clean",
        "fit",
        "judge",
        "write",
    ),
    text(
        "a function of a dispatch table that is not looked up",
        "lib/tables.py",
        "return 0.0",
        "return 1.0",
        "clean",
    ),
    text("a constant of another module", CONSTANTS, "RATE = 2.0", "RATE = 3.0", "fit", "judge", "write"),
    text(
        "a first-party decorator",
        FLOW,
        "return function(**arguments)",
        "return list(function(**arguments))",
        "clean",
    ),
    text("a decorator taken away", FLOW, "@timed\n", "", "clean"),
    text(
        "a decorator added",
        FLOW,
        "@task(cache=True)\ndef write(",
        "@task(cache=True)\n@timed\ndef write(",
        "write",
    ),
    text(
        "the function that all steps call",
        FLOW,
        'notes.write(step + "\\n")',
        'notes.write(f"{step}\\n")',
        "load",
        "clean",
        "fit",
        "write",
        "double 1",
        "double 2",
        "double 3",
    ),
    text("a lambda in a body", FLOW, 'ran("write")', '(lambda: ran("write"))()', "write"),
    text(
        "a statement that only acts, in a used module",
        CONSTANTS,
        "OTHER = 5\n",
        "OTHER = 5\nprint(end='')\n",
        *FOLLOWED,
    ),
    text("the module of a method", MODELS, "self.width * 2", "self.width * 4", "fit"),
    text(
        "a class's field",
        MODELS,
        "    width: int\n\n\nclass Unrelated",
        "    width: int\n    depth: int = 0\n\n\nclass Unrelated",
        "fit",
        "judge",
        "write",
    ),
    text("a base class", "lib/bases.py", "size = 1", "size = 2", "fit"),
    text(
        "a dataclass's default, which was not given",
        MODELS,
        "kind: Kind = Kind.LINEAR",
        "kind: Kind = Kind.FLAT",
        "fit",
        "judge",
        "write",
    ),
    text("a dataclass's default, which was given", MODELS, "width: int = 3", "width: int = 4", "fit"),
    text("an enum's member", MODELS, '"flat"', '"level"', "fit"),
    text(
        "a step's default, which was not given",
        FLOW,
        "verbose: bool = False) -> models",
        "verbose: bool = True) -> models",
        "fit",
    ),
    text(
        "a parameter's name",
        FLOW,
        'def double(x: int) -> int:\n    ran(f"double {x}")\n    return 2 * x',
        'def double(x: int, y: int = 0) -> int:\n    ran(f"double {x}")\n    return 2 * x',
        "double 1",
        "double 2",
        "double 3",
    ),
    text(
        "an output's type",
        FLOW,
        "(x: int) -> int",
        "(x: int) -> int | None",
        "double 1",
        "double 2",
        "double 3",
    ),
    text(
        "an import inside of the body",
        FLOW,
        '    ran("write")\n',
        '    ran("write")\n    import json\n',
        "write",
    ),
    text("a file that the step names", "conf/fit.yaml", "3", "4", "fit"),
    Edit("a library's version", lambda project: project.release_library("1.1"), ("fit",)),
    text("the environment that a step declares", FLOW, '"fast"', '"slow"', "fit"),
    text("Cache(version=...)", FLOW, 'version="1"', 'version="2"', "judge"),
    text("Cache(salt=...)", FLOW, 'salt="a"', 'salt="b"', "judge"),
    text("a file that is no longer named", FLOW, ', depends_on=("conf/fit.yaml",)', "", "fit"),
    Edit("a module imported for what it does", _with_an_effect, FOLLOWED),
    text("an annotation of a called function", "lib/bounds.py", "-> float", "-> 'float'", "clean"),
    text(
        "try around a call",
        FLOW,
        "    return 2 * x",
        "    try:\n        return 2 * x\n    finally:\n        pass",
        "double 1",
        "double 2",
        "double 3",
    ),
    text(
        "a comprehension's condition",
        FLOW,
        ".split()]\n\n\n@task(cache=True)\n@timed",
        ".split() if line]\n\n\n@task(cache=True)\n@timed",
        "load",
    ),
]

DATA = [
    Edit(
        "other bytes behind the same path",
        lambda project: project.replace(project.source, "4", "5"),
        ("load", "clean", "fit", "judge", "write"),
    ),
    Edit(
        "other bytes, which mean the same to the first step",
        lambda project: project.replace(project.source, "4", "4.0"),
        ("load",),
    ),
    Edit("another value of an input", _set("limit", 4), ("clean",)),
    text("one element of a mapped list", FLOW, "[1, 2, 3]", "[1, 2, 7]", "double 7"),
    text("one more element of a mapped list", FLOW, "[1, 2, 3]", "[1, 2, 3, 4]", "double 4"),
    text(
        "a constant that a step is given",
        FLOW,
        "models.Config(width=2)",
        "models.Config(width=5)",
        "fit",
        "judge",
        "write",
    ),
    Edit("another project", _environment("TYPEDFLOW_PROJECT", "elsewhere"), ALL),
    Edit("another domain", _environment("TYPEDFLOW_DOMAIN", "production"), ALL),
]

KEPT_CODE = [
    text(
        "a docstring", FLOW, '"""Reads one number a line."""', '"""Reads numbers.\n\n    One a line.\n    """'
    ),
    text("a docstring taken away", FLOW, '    """Reads one number a line."""\n', ""),
    text("the docstring of a module", FLOW, '"""Reads numbers, cleans', '"""Takes numbers, cleans'),
    text("the docstring of a called function", "lib/cleaning.py", "Keeps a value", "Holds a value"),
    text("the docstring of a class", MODELS, "How it is fitted.", "How to fit."),
    text("the docstring of an output", FLOW, "What comes out.", "The page."),
    text("a comment", FLOW, "# Blank lines are nothing.", "# Empty lines are nothing."),
    text("blank lines", FLOW, "UNUSED = 1\n", "\n\n\nUNUSED = 1\n"),
    text("the formatting of a call", FLOW, "models.Fitted(mean=", "models.Fitted(\n        mean="),
    text("quotes", FLOW, 'STEPS["shift"]', "STEPS['shift']"),
    text("parentheses", FLOW, "return 2 * x", "return (2 * x)"),
    text("the notation of a number", CONSTANTS, "RATE = 2.0", "RATE = 2.00"),
    text(
        "an unused function", FLOW, "def unused() -> int:\n    return 1", "def unused() -> int:\n    return 2"
    ),
    text("an unused constant", FLOW, "UNUSED = 1", "UNUSED = 2"),
    text("an unused constant of a used module", CONSTANTS, "OTHER = 5", "OTHER = 6"),
    text("an unused function of a used module", "lib/cleaning.py", "return -value", "return +value"),
    text("an unused class of a used module", MODELS, "    size = 1", "    size = 2"),
    text("an unused function behind a re-export", "lib/deep.py", "    return x\n", "    return x or 0\n"),
    text("the script's block", FLOW, '"a script"', '"the script"'),
    text("a file that no step names", "conf/other.yaml", "3", "4"),
    text("a file that has nothing to do with it", "notes.md", "Nothing", "Little"),
    text("the body of a step with Cache(version=...)", FLOW, "fitted.mean > lib", "fitted.mean >= lib"),
    text("a constant of a step with Cache(version=...)", CONSTANTS, "THRESHOLD = 1.0", "THRESHOLD = 0.5"),
]

KEPT_OPTIONS = [
    text("retries", FLOW, "retries=1", "retries=5"),
    Edit("a timeout", _with_a_timeout),
    Edit("resources", _with_resources),
    text(
        "interruptible",
        FLOW,
        "@task(cache=True)\ndef write(",
        "@task(cache=True, interruptible=True)\ndef write(",
    ),
    text(
        "Cache(serialize=True)",
        FLOW,
        "@task(cache=True)\ndef write(",
        "@task(cache=Cache(serialize=True))\ndef write(",
    ),
    text("the concurrency of a map", FLOW, "concurrency=2", "concurrency=7"),
    text("the ratio of a map", FLOW, "concurrency=2", "min_success_ratio=0.5"),
    text("the order of a mapped list", FLOW, "[1, 2, 3]", "[3, 1, 2]"),
    text(
        "the order in which steps are called",
        FLOW,
        "    map_task(double, concurrency=2)(x=[1, 2, 3])\n    return write(",
        "    after = map_task(double, concurrency=2)(x=[1, 2, 3])\n    return write(",
    ),
    text(
        "a node's name",
        FLOW,
        "numbers=load(source=source)",
        'numbers=load.with_overrides(name="first")(source=source)',
    ),
    text(
        "a node's retries",
        FLOW,
        "numbers=load(source=source)",
        "numbers=load.with_overrides(retries=3)(source=source)",
    ),
    text(
        "an edge for the order only",
        FLOW,
        "return write(fitted=fitted",
        "return write.after(numbers)(fitted=fitted",
    ),
    text("the workflow's options", FLOW, "@workflow\n", '@workflow(failure_policy="fail_after_running")\n'),
    text(
        "the workflow's default, which is the step's too",
        FLOW,
        "limit: int = 3, verbose",
        "limit: int = 3, *, verbose",
    ),
    text("an unused input of the workflow", FLOW, ", width: int = 2", ""),
    text(
        "another step beside them",
        FLOW,
        "    return write(fitted",
        "    double(x=1)\n    return write(fitted",
    ),
]

KEPT_SURROUNDINGS = [
    Edit("an input that does not count", _set("verbose", True)),
    Edit("an input given that was left to its default", _set("limit", 3)),
    Edit("a file touched", _touch),
    Edit("a file of another name with the same bytes", _rename_source),
    Edit("another folder", lambda project: project.moved(project.folder.with_name("elsewhere"))),
    Edit("another hash seed", _recompiled),
    Edit("an environment variable that no step declares", _environment("MODE", "slow")),
    Edit("another time zone", _environment("TZ", "Asia/Tokyo")),
    Edit("nothing at all", lambda project: project),
]

GROUPS = {
    "Code and terms that may matter": CODE,
    "Data": DATA,
    "Code that can't matter": KEPT_CODE,
    "Options and wiring that can't matter": KEPT_OPTIONS,
    "Surroundings that can't matter": KEPT_SURROUNDINGS,
}
EDITS = [edit for group in GROUPS.values() for edit in group]


_PREFACE = """\
# What runs again, and what does not

A step runs again when its code, its terms or what it is given may make a difference, and only then. Each row is an edit
of a small project (`tests/e2e/reruns/project.py`) that a test makes; then it runs the project in a new process with the
cache of the run before, and exactly the named steps have to run. In the project `load` reads a file, `clean` and `fit`
follow, `judge` has `Cache(version=...)`, `write` takes what both give, and `double` is mapped over `[1, 2, 3]`.

Where `clean` runs again and `fit` does not, the new result was equal to the one before: what counts is content.

Not in any key: files that code opens without naming them in `depends_on`, what the network or the clock says, and
variables that are read without being declared.
"""


def page() -> str:
    """docs/reruns.md."""
    lines = _PREFACE.splitlines()
    for title, edits in GROUPS.items():
        lines += ["", f"## {title}", "", "| edit | runs again |", "|---|---|"]
        lines += [
            f"| {edit.name} | {', '.join(f'`{step}`' for step in edit.runs) or 'nothing'} |" for edit in edits
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
