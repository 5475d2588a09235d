"""C2: what a fingerprint is made of, where it refuses, and that it is the same everywhere."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest

from typedflow import errors, fingerprint

GOLDEN = Path(__file__).parents[2] / "golden" / "fingerprint.json"


def names(found):
    return [component.name for component in found.components]


def made_here(tmp_path, text, name="f", file="module.py"):
    """A function that a file's code really defines; for what only live objects show."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    namespace = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(text, str(path), "exec"), namespace)
    return namespace[name]


def of(tmp_path, text, name="f", **options):
    return fingerprint.fingerprint(made_here(tmp_path, text, name), roots=[tmp_path], **options)


def test_c2_golden_vectors_pin_every_component(project):
    found = {
        name: {
            "digest": (made := project.fingerprint(name)).digest,
            "components": {component.name: component.digest for component in made.components},
        }
        for name in ("train", "whole", "factory.<locals>.made", "dynamic_module")
    }
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())


def test_components_are_named_after_what_they_are_and_sorted(project):
    found = names(project.fingerprint("train", "conf/*.yaml"))
    assert found == sorted(found)
    assert {"pipeline.tasks.train", "pipeline.helpers.scale", "pipeline.conf:module", "conf/a.yaml"} <= set(
        found
    )
    assert {"pipeline.plugins.two:module", "pipeline.shapes:statements", "pipeline.models.Config"} <= set(
        found
    )
    assert "pipeline.helpers.unused_helper" not in found


def test_a_fingerprint_is_the_same_in_another_folder_and_process(project, tmp_path):
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]; import conftest, pathlib\n"
        "print(conftest.Project(pathlib.Path(sys.argv[1])).fingerprint('train', 'conf/*.yaml').digest)"
    )
    expected = project.fingerprint("train", "conf/*.yaml").digest
    for seed in ("1", "2"):
        command = [
            sys.executable,
            "-c",
            script,
            str(tmp_path / seed / "elsewhere"),
            str(Path(__file__).parent),
            *sys.path,
        ]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        assert shown.strip() == expected


def test_one_resolver_gives_what_a_resolver_for_each_task_gives(project):
    tasks = ["train", "whole", "called", "dynamic_module", "evaluates", "exact_module"]
    alone = {name: project.fingerprint(name) for name in tasks}
    random.Random(7).shuffle(tasks)
    shared = fingerprint.Resolver([project.root])
    assert {name: shared.fingerprint(project.function(name)) for name in tasks} == alone


def test_two_tasks_that_call_each_other_differ(tmp_path):
    text = "def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\n"
    assert of(tmp_path, text, "f").components == of(tmp_path, text, "g").components
    assert of(tmp_path, text, "f").digest != of(tmp_path, text, "g").digest


def test_modules_that_import_each_other_are_followed(tmp_path):
    (tmp_path / "other.py").write_text("import module\ndef g():\n    return module.CONSTANT\n")
    text = "import other\nCONSTANT = 1\ndef f():\n    return other.g()\n"
    assert names(of(tmp_path, text.replace("import other\n", "").replace("other.g()", "1"))) == ["module.f"]
    path = tmp_path / "module.py"
    function = made_here(tmp_path, "CONSTANT = 1\ndef f():\n    return other.g()\n")
    path.write_text(text)
    found = fingerprint.fingerprint(function, roots=[tmp_path])
    assert names(found) == ["module.CONSTANT", "module.f", "other.g"]


# --- what can't be followed


def edited(tmp_path, files, file, old, new):
    """Whether an edit to one of a project's files changes the fingerprint of `module.f`."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    function = FunctionType(compile(files["module.py"], str(tmp_path / "module.py"), "exec"), {}, "f")
    function.__qualname__, function.__module__ = "f", "module"
    before = fingerprint.fingerprint(function, roots=[tmp_path]).digest
    assert files[file].count(old) == 1
    (tmp_path / file).write_text(files[file].replace(old, new))
    return fingerprint.fingerprint(function, roots=[tmp_path]).digest != before


PLUGIN = "import registry\n@registry.register\ndef g():\n    return 1\n"
MODULE = "import registry, plugin\ndef f():\n    return registry.find('g')()\n"
FIND = "def find(name):\n    return ITEMS[name]\n"
REGISTRIES = {
    "a variable": "ITEMS = {}\ndef register(g):\n    ITEMS[g.__name__] = g\n" + FIND,
    "a variable of a called function": (
        "ITEMS = []\ndef keep(g):\n    ITEMS.append(g)\ndef register(g):\n    keep(g)\n" + FIND
    ),
    "a global name": "ITEMS = None\ndef register(g):\n    global ITEMS\n    ITEMS = g\n" + FIND,
    "a class": (
        "class K:\n    items = {}\ndef register(g):\n    K.items[g.__name__] = g\n" + FIND.replace("ITEMS", "K.items")
    ),
    "an attribute of itself": (
        "def register(g):\n    register.all[0] = g\nregister.all = {}\n" + FIND.replace("ITEMS", "register.all")
    ),
    "a default": (
        "def register(g, items=[]):\n    items.append(g)\n    return items\n" + FIND.replace("ITEMS", "register(0)")
    ),
    "an object": (
        "class K:\n    def __call__(self, g):\n        self.g = g\n"
        "register = K()\ndef find(name):\n    return register.g\n"
    ),
    "a closure": (
        "def make():\n    items = {}\n    return items.update, items.get\nregister, find = make()\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=[name.replace(" ", "-") for name in REGISTRIES])
def test_c2_a_definition_that_is_registered_counts_wherever_it_is_kept(tmp_path, registry):
    files = {"module.py": MODULE, "plugin.py": PLUGIN, "registry.py": registry}
    assert edited(tmp_path, files, "plugin.py", "return 1", "return 2")


def test_a_decorator_that_keeps_nothing_does_not_make_its_module_count(tmp_path):
    registry = (
        "import logging\nlogger = logging.getLogger()\ndef register(g):\n    logger.info('x')\n    return g\n"
        + FIND
    )
    files = {"module.py": MODULE, "plugin.py": PLUGIN, "registry.py": registry}
    assert not edited(tmp_path, files, "plugin.py", "return 1", "return 2")


def test_c2_a_subclass_that_registers_itself_counts(tmp_path):
    files = {
        "module.py": "import plugin, base\ndef f():\n    return base.Base.known\n",
        "plugin.py": "from base import Base\nclass P(Base):\n    x = 1\n",
        "base.py": "class Base:\n    known = []\n    def __init_subclass__(cls):\n        Base.known.append(cls)\n",
    }
    assert edited(tmp_path, files, "plugin.py", "x = 1", "x = 2")


def test_c2_an_assignment_that_registers_counts(tmp_path):
    files = {
        "module.py": MODULE,
        "plugin.py": "import registry\ndef g():\n    return 1\nhandle = registry.register(g)\n",
        "registry.py": REGISTRIES["a variable"],
    }
    assert edited(tmp_path, files, "plugin.py", "return 1", "return 2")


def test_a_typing_import_counts_only_by_name_and_the_else_of_a_script_block_counts(tmp_path):
    files = {
        "module.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import loud\nelse:\n    import quiet\n"
        "if __name__ == '__main__':\n    print(1)\nelse:\n    print(2)\ndef f():\n    return 1\n",
        "loud.py": "print('loud')\n",
        "quiet.py": "print('quiet')\n",
    }
    assert not edited(tmp_path, files, "loud.py", "'loud'", "'LOUD'")
    assert edited(tmp_path, files, "quiet.py", "'quiet'", "'QUIET'")
    assert edited(tmp_path, files, "module.py", "print(2)", "print(3)")


# --- closures


@pytest.mark.parametrize(
    "value", ["2", "2.0", "'2'", "(2,)", "[2]", "{2: 3}", "{2}", "len", "g", "K", "K(2)", "partial(g, 2)"]
)
def test_c2_what_a_nested_function_closed_over_counts(tmp_path, value, monkeypatch):
    text = (
        "from functools import partial\nclass K:\n    def __init__(self, a):\n        self.a = a\n"
        "def g(a):\n    return a\ndef make(k):\n    def f(x):\n        return k\n    return f\n"
    )
    call = "f = make(json_value)\n"
    monkeypatch.setitem(sys.modules, "module", type(sys)("module"))
    sys.modules["module"].__file__ = str(tmp_path / "module.py")
    path = tmp_path / "module.py"
    path.write_text(text + call)

    def made(expression):
        namespace = {"__name__": "module"}
        exec(compile(text + f"f = make({expression})\n", str(path), "exec"), namespace)
        return fingerprint.fingerprint(namespace["f"], roots=[tmp_path]).digest

    assert made(value) == made(value)
    assert made(value) != made("1")


def test_c2_a_closed_over_function_is_followed(tmp_path):
    text = (
        "def g():\n    return 1\ndef make(k):\n    def f(x):\n        return k()\n    return f\nf = make(g)\n"
    )
    assert "module.g" in names(of(tmp_path, text))


def test_a_closed_over_object_without_a_source_is_refused_by_name(tmp_path):
    text = "import threading\ndef make(k):\n    def f(x):\n        return k\n    return f\nf = make(threading.Lock())\n"
    with pytest.raises(errors.DefinitionError, match=r"`make.<locals>.f.k` is a _thread.lock") as caught:
        of(tmp_path, text)
    assert "Cache(version=...)" in str(caught.value)


def test_a_wrapper_made_with_wraps_is_the_function_that_it_wraps(tmp_path):
    plain = "def f(x):\n    return x\n"
    twice = "def twice(g):\n    @functools.wraps(g)\n    def inner(x):\n        return g(g(x))\n    return inner\n"
    found = of(tmp_path, "import functools\n" + twice + "@twice\n" + plain)
    assert names(found) == ["module.f", "module.twice"]


def test_a_wrapper_made_without_wraps_counts_what_it_wraps(tmp_path):
    twice = "def twice(g):\n    def inner(x):\n        return g(g(x))\n    return inner\n"
    found = of(tmp_path, twice + "@twice\ndef f(x):\n    return x\n")
    assert {"module.f", "module.twice"} <= set(names(found))


# --- depends_on


def test_c2_depends_on_adds_functions_modules_and_files(project):
    plain = project.fingerprint("called")
    other = project.function("f", "pipeline/untouched.py")
    more = project.fingerprint("called", other, "conf/*.yaml")
    assert set(names(more)) - set(names(plain)) == {
        "pipeline.untouched.f",
        "pipeline.untouched:statements",
        "conf/a.yaml",
        "conf/b.yaml",
    }
    project.edit("conf/b.yaml", "lr: 2", "lr: 3")
    assert project.fingerprint("called", other, "conf/*.yaml").digest != more.digest


def test_c2_depends_on_a_package_counts_all_its_modules(project):
    package = type(sys)("pipeline.plugins")
    package.__file__ = str(project.root / "pipeline/plugins/__init__.py")
    expected = {"pipeline.plugins:module", "pipeline.plugins.one:module", "pipeline.plugins.two:module"}
    assert expected <= set(names(project.fingerprint("exact_module", package)))


@pytest.mark.parametrize("pattern", ["conf/*.toml", "/etc/*", "../*", ""])
def test_a_pattern_that_matches_nothing_or_leads_out_is_refused(project, pattern):
    with pytest.raises(errors.DefinitionError) as caught:
        project.fingerprint("called", pattern)
    assert caught.value.where == pattern


# --- environment


def test_the_environment_has_the_distributions_that_followed_code_imports(tmp_path):
    text = (
        "import os, blake3, click\nfrom hypothesis import strategies as st\nimport nowhere_to_be_found as n\n"
    )
    text += "def f():\n    import typedflow, json\n    return blake3.blake3, st, n, os\ndef g():\n    return click\n"
    (tmp_path / "module.py").write_text(text)
    function = made_here(tmp_path, "def f():\n    pass\n")
    (tmp_path / "module.py").write_text(text)
    found = fingerprint.fingerprint(function, roots=[tmp_path])
    assert [name for name, _ in found.distributions] == ["blake3", "hypothesis", "nowhere-to-be-found"]
    assert dict(found.distributions)["nowhere-to-be-found"] == "absent"
    assert found.python == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_an_import_that_nothing_uses_counts_for_its_effect(tmp_path):
    function = made_here(tmp_path, "def f():\n    pass\n")
    (tmp_path / "module.py").write_text("import blake3\ndef f():\n    pass\n")
    assert [name for name, _ in fingerprint.fingerprint(function, roots=[tmp_path]).distributions] == [
        "blake3"
    ]


def test_the_environment_is_apart_from_the_code(tmp_path, monkeypatch):
    text = "def f():\n    import blake3\n    return blake3\n"
    before = of(tmp_path, text)
    monkeypatch.setattr("typedflow.fingerprint.environment._version", lambda _name: "0.0")
    after = of(tmp_path, text)
    assert after.digest == before.digest
    assert after.environment != before.environment


# --- what is first-party


def test_a_virtual_environment_inside_a_root_is_not_first_party(tmp_path, monkeypatch):
    library = tmp_path / ".venv/lib/python3.11/site-packages"
    (library / "installed_thing").mkdir(parents=True)
    (library / "installed_thing/__init__.py").write_text("def g():\n    return 1\n")
    monkeypatch.syspath_prepend(str(library))
    function = made_here(tmp_path, "def f():\n    pass\n")
    (tmp_path / "module.py").write_text("import installed_thing\ndef f():\n    return installed_thing.g()\n")
    assert names(fingerprint.fingerprint(function, roots=[tmp_path])) == ["module.f"]


def test_a_script_finds_the_modules_beside_it_and_those_on_the_path_under_a_root(tmp_path, monkeypatch):
    function = made_here(tmp_path, "def f():\n    pass\n", file="scripts/run.py")
    (tmp_path / "scripts/run.py").write_text(
        "import beside, library.deep\ndef f():\n    return beside.g() + library.deep.h()\n"
    )
    (tmp_path / "scripts/beside.py").write_text("def g():\n    return 1\n")
    (tmp_path / "lib/library").mkdir(parents=True)
    (tmp_path / "lib/library/deep.py").write_text("def h():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    found = fingerprint.fingerprint(function, roots=[tmp_path])
    assert names(found) == ["lib.library.deep.h", "scripts.beside.g", "scripts.run.f"]


def test_a_folder_that_is_named_like_a_library_is_not_that_library(tmp_path):
    (tmp_path / "blake3").mkdir()
    function = made_here(tmp_path, "def f():\n    pass\n")
    (tmp_path / "module.py").write_text("import blake3\ndef f():\n    return blake3.blake3()\n")
    assert [name for name, _ in fingerprint.fingerprint(function, roots=[tmp_path]).distributions] == [
        "blake3"
    ]


def test_a_function_outside_the_roots_is_refused_with_its_place(project, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.DefinitionError, match="not under the roots") as caught:
        fingerprint.fingerprint(project.function("train"), roots=[tmp_path / "empty"])
    assert caught.value.where.endswith("tasks.py")


def test_what_is_not_a_function_is_refused():
    with pytest.raises(errors.DefinitionError, match="a int is not a function"):
        fingerprint.fingerprint(3, roots=[Path.cwd()])


def test_a_reached_module_that_is_not_python_is_refused_with_its_line(project):
    function = project.function("train")
    project.edit("pipeline/inner.py", "return 5", "return (")
    with pytest.raises(errors.LoadError) as caught:
        fingerprint.fingerprint(function, roots=[project.root])
    assert caught.value.where.endswith("inner.py:4")


def test_a_root_behind_a_symbolic_link_is_the_same_root(project, tmp_path):
    (tmp_path / "link").symlink_to(project.root)
    function = project.function("train")
    assert fingerprint.fingerprint(function, roots=[tmp_path / "link"]) == project.fingerprint("train")


# --- names


def test_i1_a_module_is_named_under_its_import_root(project, tmp_path):
    file = project.root / "pipeline/plugins/one.py"
    assert fingerprint.import_root(file) == project.root
    assert fingerprint.module_name(file) == "pipeline.plugins.one"
    assert fingerprint.module_name(file.parent / "__init__.py") == "pipeline.plugins"
    assert fingerprint.module_name(file, [tmp_path, project.root / "pipeline"]) == "plugins.one"
    assert fingerprint.module_name(file, [tmp_path / "elsewhere"]) == "pipeline.plugins.one"


def test_i1_main_has_the_name_of_its_file(project):
    function = project.function("train")
    function.__module__ = "__main__"
    assert fingerprint.fingerprint(function, roots=[project.root]) == project.fingerprint("train")


# --- size


def test_code_that_nests_about_as_deep_as_python_recurses_is_followed(tmp_path):
    chain = " + ".join(["g()"] * 800)
    function = made_here(tmp_path, "def f():\n    pass\n")
    (tmp_path / "module.py").write_text(f"def g():\n    return 1\ndef f():\n    return {chain}\n")
    assert names(fingerprint.fingerprint(function, roots=[tmp_path])) == ["module.f", "module.g"]


def test_code_that_nests_too_deep_for_python_is_refused_with_its_place(tmp_path):
    function = made_here(tmp_path, "def f():\n    pass\n")
    (tmp_path / "module.py").write_text(f"def f():\n    return {' + '.join(['1'] * 100_000)}\n")
    with pytest.raises(errors.LoadError) as caught:
        fingerprint.fingerprint(function, roots=[tmp_path])
    assert caught.value.where.endswith("module.py")


def test_many_tasks_of_a_project_look_at_each_definition_once(tmp_path, monkeypatch):
    from typedflow.fingerprint import graph

    looked_at = []
    original = graph.Graph._look_at

    def look_at(self, path, unit):
        looked_at.append(unit)
        return original(self, path, unit)

    monkeypatch.setattr(graph.Graph, "_look_at", look_at)
    text = "".join(
        f"def t{i}():\n    return t{i - 1}()\n" if i else "def t0():\n    return 1\n" for i in range(300)
    )
    (tmp_path / "module.py").write_text(text)
    namespace = {"__name__": "module"}
    exec(compile(text, str(tmp_path / "module.py"), "exec"), namespace)
    resolver = fingerprint.Resolver([tmp_path])
    sizes = [len(resolver.fingerprint(namespace[f"t{i}"]).components) for i in range(300)]
    assert sizes == list(range(1, 301))
    assert len(looked_at) == 300
