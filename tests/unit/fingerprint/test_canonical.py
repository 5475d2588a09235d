"""The canonical bytes: blind to how code is written, and to nothing else."""

import ast
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import typedflow
from typedflow.fingerprint import canonical

SOURCES = sorted(Path(typedflow.__file__).parent.glob("fingerprint/*.py"))


def encode(text):
    return canonical.encode([ast.parse(text)])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_code_that_is_written_anew_from_its_tree_has_the_same_bytes(path):
    text = path.read_text()
    assert encode(ast.unparse(ast.parse(text))) == encode(text)


@given(data=st.data())
def test_c4_comments_and_blank_lines_anywhere_keep_the_bytes(data):
    text = data.draw(st.sampled_from(SOURCES)).read_text()
    lines = text.splitlines()
    docstrings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for line in range(node.lineno, node.end_lineno or node.lineno)
    }
    places = [index for index in range(len(lines) + 1) if index not in docstrings]
    generator = random.Random(data.draw(st.integers()))
    for index in sorted(generator.sample(places, min(20, len(places))), reverse=True):
        lines.insert(index, generator.choice(["", "# a comment", "        # deep", "\t# tab", "#"]))
    assert encode("\n".join(lines)) == encode(text)


@given(st.one_of(st.integers(), st.floats(), st.text(), st.binary(), st.booleans(), st.none()),
       st.one_of(st.integers(), st.floats(), st.text(), st.binary(), st.booleans(), st.none()))  # fmt: skip
def test_literals_have_the_same_bytes_exactly_when_they_print_alike(left, right):
    same = repr(left) == repr(right)
    assert (canonical.constant(left) == canonical.constant(right)) == same


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("f(a, b)", "f((a, b))"),
        ("f(a)(b)", "f(a, b)"),
        ("[a], b", "[a, b]"),
        ("a + b + c", "a + (b + c)"),
        ("{**a}", "{'a': a}"),
        ("def f(a, /): return 1", "def f(a): return 1"),
        ("def f(*, a): return 1", "def f(a): return 1"),
        ("def f(a, b=1): return 1", "def f(a=1, b=1): return 1"),
        ("x: int", "x: int = 1"),
        ("1", "1.0\ny"),
        ("x = 0.0", "x = -0.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = f'{a}'", "x = f'{a!s}'"),
        ("a = b", "a += b"),
        ("async def f(): return 1", "def f(): return 1"),
        ("try: f()\nexcept A: g()", "try: f()\nexcept* A: g()"),
        ("if a: b()\nelif c: d()", "if a: b()\nif c: d()"),
        ("import a.b", "import a"),
        ("from . import a", "from .. import a"),
        ("x[1:2]", "x[1:2:3]"),
    ],
)
def test_code_that_means_something_else_has_other_bytes(left, right):
    assert encode(left) != encode(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x = 'a' 'b'", "x = 'ab'"),
        ("x = f'a' f'{b}' 'c'", "x = f'a{b}c'"),
        ("x = 1_000", "x = 1000"),
        ("x = u'a'", "x = 'a'"),
        ("if a:\n    b()\nelse:\n    pass", "if a:\n    b()"),
        ("def f(): ...", "def f():\n    '''Says.'''"),
        ("(a)\n", "a"),
        ("x = (1, 2)", "x = 1, 2"),
        ("if a: b()\nelif c: d()", "if a: b()\nelse:\n    if c: d()"),
    ],
)
def test_code_that_means_the_same_has_the_same_bytes(left, right):
    assert encode(left) == encode(right)
