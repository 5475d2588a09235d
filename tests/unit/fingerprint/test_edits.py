"""C2: what an edit to a project does to the fingerprint of a task. To add a case, add a row."""

from dataclasses import dataclass

import pytest

TASKS = "pipeline/tasks.py"
CONF = "pipeline/conf.py"
MODELS = "pipeline/models.py"


@dataclass(frozen=True)
class Edit:
    name: str
    file: str
    old: str
    new: str
    task: str = "train"


CHANGES = [
    # the body
    Edit("an expression of the body", TASKS, "hidden = 4", "hidden = 5"),
    Edit("a constant's type", TASKS, "hidden = 4", "hidden = 4.0"),
    Edit("the text of an f-string", TASKS, " done", " Done"),
    Edit("a conversion in an f-string", TASKS, "{hidden!r}", "{hidden!s}"),
    Edit("a format in an f-string", TASKS, ":>{seed}", ":<{seed}"),
    Edit("a default value", TASKS, "seed: int = 3", "seed: int = 4"),
    Edit("a parameter's annotation", TASKS, "x: int, config", "x: float, config"),
    Edit("the return annotation", TASKS, "seed: int = 3) -> float", "seed: int = 3) -> int"),
    Edit("a first-party decorator that is added", TASKS, "@our_task(retries=4)\n", "@our_task(retries=4)\n@timed\n"),
    # functions
    Edit("a called function", "pipeline/helpers.py", "x * 2", "x * 3"),
    Edit("a function two modules away", "pipeline/inner.py", "x + 10", "x + 11"),
    Edit("a function through `import a.b`", "pipeline/shapes.py", "side ** 2", "side ** 3"),
    Edit("a function through a re-export", "pipeline/deeper.py", "'deep'", "'Deep'"),
    Edit("a re-export that leads elsewhere", "pipeline/facade.py", "really_deep as", "really_shallow as"),
    Edit("a function through a star import", "pipeline/starred.py", "return 8", "return 80"),
    Edit("a function that the body imports", "pipeline/late.py", "return 1", "return 10"),
    Edit("a function that is imported if it is there", "pipeline/fast.py", "return 0", "return 1"),
    Edit("what stands in for a failed import", TASKS, "quick = None", "quick = 0"),
    Edit("another task that the body calls", TASKS, "x * 7", "x * 8"),
    Edit("an async function", TASKS, "return handle", "return (handle,)"),
    Edit("a function of an async with", CONF, "return open", "return print"),
    Edit("a function in a dispatch table", TASKS, "return 1\n\ndef second", "return 10\n\ndef second"),
    Edit("the dispatch table", TASKS, '"second": second', '"second": first'),
    Edit("a lambda of the body", TASKS, "lambda first_party=None", "lambda first_party=1"),
    Edit("a function inside the body", TASKS, "return hidden\n", "return [hidden]\n"),
    Edit("a callee's default value from another module", CONF, "FACTOR = 2.5", "FACTOR = 2.6"),
    Edit("a callee's decorator", "pipeline/decorators.py", "return function(*args)", "return function(*args) or 1"),
    Edit("what a callee's decorator uses", "pipeline/decorators.py", "getLogger(__name__)", "getLogger('other')"),
    Edit("an import of the same name from elsewhere", TASKS, "OrderedDict as Ordered", "Counter as Ordered"),
    Edit("an import that swaps two names", TASKS, "scale, unused_helper, scale as grow",
         "scale, unused_helper, unused_helper as grow"),
    Edit("a builtin that is now defined in the module", TASKS, "UNUSED = 10", "range = list"),
    Edit("a first-party decorator that replaces typedflow's", "pipeline/entities.py", "from typedflow import task",
         "def task(**options):\n    return print"),
    # constants
    Edit("a constant", TASKS, "LIMIT = 3", "LIMIT = 4"),
    Edit("an augmented assignment", TASKS, "LIMIT += 1", "LIMIT += 2"),
    Edit("the condition of a conditional constant", TASKS, "math.pi > 3", "math.pi > 4"),
    Edit("the other branch of a conditional constant", TASKS, "CONDITIONAL = 2", "CONDITIONAL = 3"),
    Edit("a constant by getattr with a constant name", CONF, 'NAMED = "n"', 'NAMED = "m"'),
    Edit("a statement that fills a table", "pipeline/opaque.py", "TABLE['x'] = 1", "TABLE['x'] = 2"),
    # classes
    Edit("a dataclass's default", MODELS, "width: int = 3", "width: int = 4"),
    Edit("a dataclass's field type", MODELS, "width: int = 3", "width: float = 3"),
    Edit("a method that is not called", MODELS, "self.width * 2", "self.width * 3"),
    Edit("a base class", "pipeline/bases.py", "size = 1", "size = 2"),
    Edit("a class named in a string annotation", MODELS, "text: str", "text: bytes"),
    Edit("a check in a schema's field", MODELS, "gt=0", "gt=1"),
    Edit("a class decorator's options", MODELS, "@dataclass", "@dataclass(frozen=True)"),
    # what can't be followed
    Edit("a module with a name that `global` rebinds", CONF, "UNRELATED = 1", "UNRELATED = 2"),
    Edit("a module that is patched from outside", "pipeline/victim.py", "return 1", "return 2"),
    Edit("the patch", "pipeline/patched.py", "limit = 5", "limit = 6"),
    Edit("a definition that a decorator registers", "pipeline/plugins/two.py", "return helper()", "return -helper()"),
    Edit("what a registered definition uses", "pipeline/plugins/two.py", "return 2", "return 20"),
    Edit("the rest of a module that registers", "pipeline/plugins/two.py", "return 3", "return 30"),
    Edit("a statement of an imported module", "pipeline/shapes.py", "are loaded", "are here"),
    Edit("a statement of the package", "pipeline/__init__.py", '"""A package."""', "print('package')"),
    Edit("getattr with any name", "pipeline/shapes.py", "3 * radius", "4 * radius", "dynamic_attribute"),
    Edit("an import by a name made at run time", "pipeline/plugins/one.py", "return 1", "return 10", "dynamic_module"),
    Edit("an import by a constant name", "pipeline/plugins/one.py", "return 1", "return 10", "exact_module"),
    Edit("anything beside an eval", TASKS, "UNUSED = 10", "UNUSED = 11", "evaluates"),
    Edit("a nested function", TASKS, "return x * k", "return x + k", "factory.<locals>.made"),
    Edit("what is around a nested function", TASKS, "return made", "return [made]", "factory.<locals>.made"),
    Edit("a workflow's body", TASKS, "return train(x=x)", "return train(x=x + 1)", "whole"),
]  # fmt: skip

KEEPS = [
    # C4: nothing that a program can't tell
    Edit("a docstring", TASKS, '"""Trains."""', '"""Trains well.\n\n    At length.\n    """'),
    Edit("no docstring", TASKS, '    """Trains."""\n', ""),
    Edit("the module's docstring", TASKS, '"""The tasks."""', '"""All tasks."""'),
    Edit("a class's docstring", MODELS, '"""A configuration."""', '"""Settings."""'),
    Edit("a method's docstring", MODELS, '"""Its area."""', '"""The area."""'),
    Edit("a comment", TASKS, "# a comment", "# another"),
    Edit("a new comment line", TASKS, "    hidden = 4\n", "    # four\n    hidden = 4\n"),
    Edit("blank lines", TASKS, "LIMIT = 3\n", "\n\nLIMIT = 3\n\n"),
    Edit("spaces", TASKS, "local_limit = LIMIT", "local_limit  =  LIMIT"),
    Edit("parentheses", TASKS, "return x * 7", "return (x * 7)"),
    Edit("quotes", CONF, 'NAMED = "n"', "NAMED = 'n'"),
    Edit("a number's notation", TASKS, "UNUSED = 10", "UNUSED = 0xA"),
    Edit("a call over several lines", TASKS, "Ordered(a=deep())", "Ordered(\n        a=deep(),\n    )"),
    Edit("a `pass`", TASKS, "    hidden = 4\n", "    hidden = 4\n    pass\n"),
    Edit("a description in a schema", MODELS, '"a rate"', '"the rate"'),
    # typedflow's own options
    Edit("retries", TASKS, "depends_on=(unused_helper,)), retries=2", "depends_on=(unused_helper,)), retries=9"),
    Edit("the cache's options", TASKS, "@task(cache=Cache(depends_on=(unused_helper,)), retries=2)", "@task"),
    Edit("options of `typedflow.task`", TASKS, "@typedflow.task(timeout=3)", "@typedflow.task(timeout=4)"),
    Edit("options of a re-exported task", TASKS, "@our_task(retries=4)", "@our_task(retries=5)"),
    Edit("options of a called task", TASKS, "@task(cache=True, retries=1)", "@task(cache=True, retries=8)"),
    Edit("options of a workflow", TASKS, "@flow(on_failure=called)", "@flow", "whole"),
    Edit("what only options refer to", "pipeline/helpers.py", "x - 1", "x - 2"),
    # what is not reached
    Edit("an unused constant", TASKS, "UNUSED = 10", "UNUSED = 11"),
    Edit("an unused function of a used module", "pipeline/inner.py", "return 5", "return 6"),
    Edit("an unused function beside a re-export", "pipeline/deeper.py", "'shallow'", "'low'"),
    Edit("an unused function beside a star import", "pipeline/starred.py", "return 9", "return 90"),
    Edit("an unused function of a module that the body imports", "pipeline/late.py", "return 2", "return 20"),
    Edit("an unused class", MODELS, "a: int", "a: float"),
    Edit("an unused base class", "pipeline/bases.py", "    pass", "    b = 1"),
    Edit("a function that a local variable hides", TASKS, "def hidden():\n    return 0", "def hidden():\n    return 1"),
    Edit("another task", TASKS, "return eval(text)", "return eval(text + '1')"),
    Edit("the workflow that uses the task", TASKS, "return train(x=x)", "return train(x=x + 1)"),
    Edit("a module that nobody imports", "pipeline/untouched.py", "nobody imports this", "still nobody"),
    Edit("a constant that is not read by getattr", CONF, 'NAMED = "n"', 'NAMED = "m"', "called"),
    Edit("an import only for type checkers", MODELS, "from .inner import other", "from .untouched import f"),
    Edit("an unused import", "pipeline/helpers.py", "import os\n", ""),
    Edit("a script's block", TASKS, "print(train(1))", "print(train(2))"),
    Edit("a module beside an exact import", "pipeline/shapes.py", "3 * radius", "4 * radius", "exact_module"),
    Edit("a file that is not named", "conf/a.yaml", "lr: 1", "lr: 9"),
    Edit("a re-export taken apart", TASKS, "from .facade import deep", "from .deeper import really_deep as deep"),
]  # fmt: skip


@pytest.mark.parametrize("edit", CHANGES, ids=lambda edit: edit.name.replace(" ", "-"))
def test_c2_an_edit_that_may_matter_changes_the_fingerprint(edit, project):
    before = project.fingerprint(edit.task).digest
    project.edit(edit.file, edit.old, edit.new)
    assert project.fingerprint(edit.task).digest != before


@pytest.mark.parametrize("edit", KEEPS, ids=lambda edit: edit.name.replace(" ", "-"))
def test_c4_an_edit_that_can_not_matter_keeps_the_fingerprint(edit, project):
    before = project.fingerprint(edit.task).digest
    project.edit(edit.file, edit.old, edit.new)
    assert project.fingerprint(edit.task).digest == before
