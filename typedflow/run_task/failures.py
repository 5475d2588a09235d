"""Exceptions as failures: whose fault it was, in which words, and where in the author's code.

The traceback keeps the frames of the author's own files only: what typedflow and libraries did in between is in the
attempt's log. Must never raise, whatever an exception's `__str__` does.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from pathlib import Path

from typedflow import errors
from typedflow.pb import errors_pb2

_MESSAGE_LIMIT = 16 * 1024
_TRACEBACK_LIMIT = 64 * 1024


def of(error: BaseException, roots: Sequence[Path]) -> errors_pb2.ExecutionError:
    """The failure that an exception is. `roots`: the folders that hold the author's code."""
    return errors_pb2.ExecutionError(
        kind=_kind(error),
        code=_code(error),
        message=_shortened(_message(error), _MESSAGE_LIMIT),
        traceback=_shortened(author_frames(error, roots), _TRACEBACK_LIMIT),
        non_recoverable=isinstance(error, errors.NonRecoverable),
    )


def _kind(error: BaseException) -> errors_pb2.ErrorKind.ValueType:
    """Lost or damaged objects are the platform's; all else comes from the author's code and values."""
    system = isinstance(error, errors.IntegrityError | errors.StorageError)
    return errors_pb2.ERROR_KIND_SYSTEM if system else errors_pb2.ERROR_KIND_USER


def _code(error: BaseException) -> str:
    if isinstance(error, errors.TypedflowError):
        own = type(error).__name__
        return (
            error.code if error.code != type(error).code or type(error).__module__ == errors.__name__ else own
        )
    return type(error).__name__


def _message(error: BaseException) -> str:
    try:
        if isinstance(error, SystemExit):
            return f"the task exited ({error.code!r}) instead of returning; raise an exception to fail"
        text = str(error)
    except Exception:  # noqa: BLE001 - the exception is the author's class
        text = ""
    if isinstance(error, KeyError) and text:
        text = f"there is no key {text}"
    return text or f"{type(error).__name__} (it says no more)"


def author_frames(error: BaseException, roots: Sequence[Path]) -> str:
    """The traceback as Python prints it, of the frames in files under `roots` only, with paths relative to them."""
    try:
        shown = traceback.TracebackException.from_exception(error, compact=True)
        prefixes = [str(root) + os.sep for root in roots]
        if not _keep_author_frames(shown, prefixes, set()):
            return ""
        return "".join(shown.format())
    except Exception:  # noqa: BLE001 - formatting calls the author's __str__ and __repr__
        return ""


def _keep_author_frames(shown: traceback.TracebackException, prefixes: Sequence[str], seen: set[int]) -> bool:
    """Filters the exception and those that it came from; whether any frame is left."""
    if id(shown) in seen:
        return False
    seen.add(id(shown))
    kept = []
    for frame in shown.stack:
        prefix = next((prefix for prefix in prefixes if frame.filename.startswith(prefix)), None)
        if prefix is not None:
            _ = frame.line  # read from the file while its real name is known
            frame.filename = frame.filename.removeprefix(prefix)
            kept.append(frame)
    shown.stack = traceback.StackSummary.from_list(kept)
    is_syntax_error = isinstance(getattr(shown, "filename", None), str)
    if is_syntax_error:
        for prefix in prefixes:
            shown.filename = shown.filename.removeprefix(prefix)
    related = [shown.__cause__, shown.__context__, *(shown.exceptions or ())]
    rest = [_keep_author_frames(each, prefixes, seen) for each in related if each is not None]
    return bool(kept) or any(rest) or is_syntax_error


def _shortened(text: str, limit: int) -> str:
    """Keeps both ends: a message begins with what happened, and a traceback ends with it."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates do not travel
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... ({len(text) - limit} characters left out) ...\n{text[-half:]}"
