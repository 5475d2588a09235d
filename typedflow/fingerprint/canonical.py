"""The canonical bytes of a piece of syntax: what has the same bytes means the same to Python.

Comments, formatting, positions, docstrings and `pass` have no bytes. The walk is our own and does not depend on how
any Python prints its trees: fields are written in order of name, and a field that is empty or absent is left out, so
that a later Python's new fields change nothing. Every item is written with its tag and its length or count, so that
two different trees never have the same bytes. Golden vectors pin all this; changing it renames every cached result.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Container, Iterable

# Where a name stands (Load, Store), type comments and the `u` of a u"string" do not change what the code does. `str`
# is the source text of a template string's expression, which has its own tree beside it.
_IGNORED_FIELDS = frozenset(
    {
        "ctx",
        "kind",
        "type_comment",
        "type_ignores",
        "str",
        "lineno",
        "col_offset",
        "end_lineno",
        "end_col_offset",
    }
)


def encode(nodes: Iterable[ast.AST], omit: Container[int] = ()) -> bytes:
    """The canonical bytes of `nodes`, without the sub-trees whose `id()` is in `omit`."""
    out = bytearray()
    stack: list[object] = [list(nodes)]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.AST):
            children = _fields(item, omit)
            out += _tag(b"N", type(item).__name__).data
            _count(out, len(children))
            for name, value in reversed(children):
                stack.append(value)
                stack.append(_tag(b"F", name))
        elif isinstance(item, _Tag):
            out += item.data
        elif isinstance(item, list):
            kept = [child for child in item if not _is_left_out(child, omit)]
            out += b"L"
            _count(out, len(kept))
            stack.extend(reversed(kept))
        else:
            out += constant(item)
    return bytes(out)


def constant(value: object) -> bytes:
    """The canonical bytes of a literal's value; types are told apart (1, 1.0 and True differ, 0.0 and -0.0 too)."""
    out = bytearray()
    match value:
        case None | True | False:
            _tagged(out, b"C", str(value).encode())
        case _ if value is ...:
            _tagged(out, b"C", b"Ellipsis")
        case int():
            _tagged(out, b"I", hex(value).encode())
        case float():
            _tagged(out, b"R", value.hex().encode())
        case complex():
            _tagged(out, b"J", f"{value.real.hex()},{value.imag.hex()}".encode())
        case str():
            _tagged(out, b"S", value.encode("utf-8", "surrogatepass"))
        case bytes():
            _tagged(out, b"B", value)
        case _:
            raise TypeError(f"no literal of Python has the type {type(value).__name__}")
    return bytes(out)


class _Tag:
    """The bytes of a node's or field's name; a class of its own, to be told apart from a value on the stack."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


@functools.cache
def _tag(kind: bytes, name: str) -> _Tag:
    data = bytearray()
    _tagged(data, kind, name.encode())
    return _Tag(bytes(data))


@functools.cache
def _counted(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in sorted(fields) if name not in _IGNORED_FIELDS)


def _fields(node: ast.AST, omit: Container[int]) -> list[tuple[str, object]]:
    if isinstance(node, ast.Constant):
        return [("value", node.value)]
    found: list[tuple[str, object]] = []
    for name in _counted(node._fields):
        value = getattr(node, name, None)
        if value is None:
            continue
        if isinstance(value, list):
            if isinstance(node, ast.JoinedStr) and name == "values":
                value = _joined(value)
            if all(_is_left_out(child, omit) for child in value if child is not None) and None not in value:
                continue
        elif id(value) in omit:
            continue
        found.append((name, value))
    return found


def _is_left_out(child: object, omit: Container[int]) -> bool:
    """Whether a list's item has no bytes: an omitted node, `pass`, or a constant as a statement (a docstring)."""
    if id(child) in omit or isinstance(child, ast.Pass):
        return True
    return isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """An f-string's parts with neighbouring texts joined: how they are cut differs between releases of Python."""
    joined: list[ast.expr] = []
    for value in values:
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            joined.append(value)
        elif joined and isinstance(last := joined[-1], ast.Constant) and isinstance(last.value, str):
            joined[-1] = ast.Constant(last.value + value.value)
        elif value.value:
            joined.append(value)
    return joined


def _tagged(out: bytearray, tag: bytes, data: bytes) -> None:
    out += tag
    _count(out, len(data))
    out += data


def _count(out: bytearray, count: int) -> None:
    out += count.to_bytes(4, "big")
