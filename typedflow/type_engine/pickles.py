"""`Annotated[T, Pickle]`: values that only Python can read, because their author says so.

They are pickled into a file that says with which Python and which cloudpickle. Unpickling runs what the file says: it
is done where a task asked for it and nowhere else. Must never be chosen by typedflow itself.
"""

from __future__ import annotations

import pickle
import platform
import re
import sys
import types
from typing import TYPE_CHECKING, Any, get_args, get_origin

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import alternatives, conversion, files  # noqa: TID253 - a family of files itself
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_FORMAT = "pickle"
_NAME = re.compile(r".*\.python-(\d+\.\d+)\.\d+[^-]*\.cloudpickle-([\w.+-]+)\.pickle")
_LONGEST_CLASS = 60


class Pickle(conversion.Marker):
    """Marks a type whose values are pickled: `Annotated[Model, Pickle]`.

    For what has no better form: it can be read only by the same minor version of Python, with the libraries that it was
    made with, and by no other language. Its type is called `pickle:module.Model` wherever interfaces are shown. Whoever
    can write the file can run code in the task that reads it: such values are taken from tasks, never from a launch.
    """


def pickle_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `Annotated[T, Pickle]`. Raises DefinitionError where `T` needs no pickle, or is no class."""
    of = get_args(annotation)[0]
    others = [each for each in get_args(annotation)[1:] if _is_marker(each) and not _is_pickle(each)]
    if others:
        message = f"{others[0]!r} says nothing about a pickled {alternatives.text(of)}"
        raise _unsupported(message, "leave it out")
    if engine.takes(of):
        raise _unsupported(
            f"{alternatives.text(of)} travels without Pickle", f"annotate it `{alternatives.text(of)}`"
        )
    kind = get_origin(of) or of
    if isinstance(of, types.UnionType) or not _tells_instances(kind):
        hint = "mark each class by itself, as in `Annotated[Model, Pickle] | None`"
        raise _unsupported(f"{alternatives.text(of)} is not a class, and what is pickled is of one", hint)
    return PickleConverter(of, kind)


class PickleConverter(conversion.Converter):
    """The instances of a class, and of its subclasses: a pickle knows of which."""

    def __init__(self, annotation: Any, kind: type) -> None:
        self._class = kind
        name = alternatives.text(annotation)
        self.type = literal_types.custom(f"{literal_types.PICKLED}{name}", literal_types.file(_FORMAT))

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        import cloudpickle

        if not isinstance(value, self._class):
            raise conversion.misfit(path, self.type, value)
        data.require(path, "a pickled value")
        with data.new_file(_FORMAT) as file:
            try:
                with file.open("xb") as sink:
                    cloudpickle.dump(value, sink, protocol=5)
            except OSError:
                raise
            except Exception as error:
                why = f"a {conversion.class_name(value)} can't be pickled: {_why(error)}"
                hint = "return what it is made of, or a File that you write; or give its class __reduce__"
                raise errors.ConversionError(why, where=path, hint=hint) from error
            blob = data.put_file(file)
        message = literals_pb2.File(
            content=files.content(blob.digest, _FORMAT),
            blob=blob,
            format=_FORMAT,
            name=_file_name(type(value), cloudpickle.__version__),
        )
        return literals_pb2.Literal(file=message)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "file":
            raise conversion.mismatch(path, self.type, literal)
        self._check_origin(literal.file, path)
        files.check_content(literal.file, path)
        with data.checked_file(literal.file.blob) as file, file.open("rb") as source:
            try:
                value = pickle.load(source)  # noqa: S301 - the annotation says Pickle
            except Exception as error:
                message = f"{self.type.custom.name} can't be read: {_why(error)}"
                hint = "it needs the classes and the libraries that it was made with; run again the task that made it"
                raise errors.ConversionError(message, where=path, hint=hint) from error
        if not isinstance(value, self._class):
            raise conversion.misfit(path, self.type, value)
        return value

    def is_exact(self, value: Any) -> bool:
        return isinstance(value, self._class)

    def _check_origin(self, file: literals_pb2.File, path: str) -> None:
        said = _NAME.fullmatch(file.name)
        if said is None or file.format != _FORMAT or not file.blob.digest:
            message = f"the file {file.name!r:.120} was not made by a task that returns {literal_types.text(self.type)}"
            raise errors.ConversionError(message, where=path, hint="only what a task pickled is unpickled")
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if said[1] != here:
            message = f"it was pickled by Python {said[1]} (cloudpickle {said[2]}), and this is Python {here}"
            hint = f"run both tasks on one minor version of Python, or the task that made it again on {here}"
            raise errors.ConversionError(message, where=path, hint=hint)


def _tells_instances(kind: Any) -> bool:
    try:
        isinstance(None, kind)
    except TypeError:
        return False
    return isinstance(kind, type)


def _file_name(kind: type, version: str) -> str:
    """What says who pickled it: `Model.python-3.11.7.cloudpickle-3.1.2.pickle`."""
    named = re.sub(r"\W", "_", kind.__name__)[:_LONGEST_CLASS]
    return f"{named}.python-{platform.python_version()}.cloudpickle-{version}.{_FORMAT}"


def _is_marker(metadata: Any) -> bool:
    return isinstance(metadata, conversion.Marker) or (
        isinstance(metadata, type) and issubclass(metadata, conversion.Marker)
    )


def _is_pickle(metadata: Any) -> bool:
    return metadata is Pickle or isinstance(metadata, Pickle)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _unsupported(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
