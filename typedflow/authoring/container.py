"""Tasks that are programs of any language in an image: their inputs are files and arguments, their outputs files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import FunctionType
from typing import Any

from typedflow import errors
from typedflow.authoring import definitions, options, signature, source
from typedflow.authoring.options import Cache, Resources, Retry, Secret, Timeout
from typedflow.authoring.task import Task
from typedflow.compiler import diagnostics
from typedflow.pb import tasks_pb2


class ContainerTask(Task[..., Any]):
    """A task that is a program in an image.

    Args:
        name: the last part of the task's name, under the module that defines it.
        image: a reference of the image, as in `registry/tool:1.2@sha256:...`.
        command: replaces the image's entry point; empty is the image's own. In it and in the arguments,
            `{{inputs.NAME}}` stands for an input's plain value (of a file: its path), `{{outputs.NAME}}` for the path
            where the output is to be written.
        arguments: of the command.
        inputs: types by name.
        outputs: types by name; one output is what a call gives, several come as a NamedTuple.
        input_folder: where the inputs lie, one file each; empty is `/var/inputs`.
        output_folder: where the outputs are collected; empty is `/var/outputs`.
        cache: keep results and find them again while image, command, environment and inputs are the same.
        resources: what it needs to run.
        retries: further attempts after a failure of its own.
        timeout: how long an attempt may take.
        interruptible: it may run on capacity that can be taken away.
        environment: variables that are set for it; part of the cache key.
        secrets: what it is given as environment variables.
        description: for people.

    Raises:
        DefinitionError: a type that has no place in an interface, an illegal option.

    Example:
        >>> sort = ContainerTask(
        ...     "sort",
        ...     image="docker.io/library/alpine:3.20",
        ...     command=["sh", "-c"],
        ...     arguments=["sort -n {{inputs.numbers}} | head -n {{inputs.most}} > {{outputs.sorted}}"],
        ...     inputs={"numbers": str, "most": int},
        ...     outputs={"sorted": str},
        ... )
        >>> sort.short_name
        'sort'
    """

    def __init__(
        self,
        name: str,
        *,
        image: str,
        command: Sequence[str] = (),
        arguments: Sequence[str] = (),
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        input_folder: str = "",
        output_folder: str = "",
        cache: bool | Cache = False,
        resources: Resources | None = None,
        retries: int | Retry | None = None,
        timeout: timedelta | Timeout | None = None,
        interruptible: bool | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Sequence[Secret] = (),
        description: str = "",
    ) -> None:
        self._position = source.caller()
        self._module = source.calling_module()
        try:
            made = options.message(
                cache=cache,
                resources=resources,
                retries=retries,
                timeout=timeout,
                interruptible=interruptible,
                environment=environment,
                secrets=secrets,
            )
            super().__init__(name, made)
            given = {each: (type_, signature.NO_DEFAULT) for each, type_ in (inputs or {}).items()}
            self._signature = signature.declare(given, outputs or {}, {})
        except errors.DefinitionError as error:
            message = f"ContainerTask {name!r}: {error.message}"
            where = definitions.place(self._position)
            raise errors.DefinitionError(message, where=where, hint=error.hint, code=error.code) from None
        self.image: str = _text("image", image)
        self.command: tuple[str, ...] = tuple(_text("command", each) for each in _several("command", command))
        self.arguments: tuple[str, ...] = tuple(
            _text("arguments", each) for each in _several("arguments", arguments)
        )
        self.input_folder = input_folder
        self.output_folder = output_folder
        self.description = description
        self.__doc__ = description

    @property
    def module(self) -> str:
        """Dotted, under the import root."""
        return self._module

    @property
    def name(self) -> str:
        """`module.name`: the name under which it is registered."""
        return f"{self._module}.{self.short_name}"

    @property
    def function(self) -> FunctionType:
        """There is none."""
        raise errors.UsageError(
            f"{self.what} is a program in image `{self.image}`, which needs a container runtime, so it can't run here",
            code="NotHere",
            hint="mock it: `with typedflow.testing.mock_task(TASK, returns=...):`, or launch it on a cluster",
        )

    def target(self) -> tasks_pb2.ContainerTarget:
        """What runs."""
        return tasks_pb2.ContainerTarget(
            image=self.image,
            command=self.command,
            arguments=self.arguments,
            input_folder=self.input_folder,
            output_folder=self.output_folder,
        )

    def template(self, code: tasks_pb2.Code | None = None, bundle: str = "") -> tasks_pb2.TaskTemplate:  # noqa: ARG002
        """The task on the wire; its code is in the image, so no bundle holds any."""
        return tasks_pb2.TaskTemplate(
            id=self.reference(),
            interface=self.signature.interface,
            container=self.target(),
            code=code,
            options=self.options,
            position=self._position,
            description=self.description,
        )


def _several(name: str, value: Sequence[str]) -> Sequence[str]:
    if isinstance(value, str):
        raise _invalid(
            f"ContainerTask({name}={value!r:.80}) is one text, not several", f"write [{value!r:.80}]"
        )
    return value


def _text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise _invalid(
            f"ContainerTask({name}=...) has {value!r:.80}, which is not a text", "write it as a text"
        )
    return value


def _invalid(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(
        message, where=definitions.place(source.caller()), code=diagnostics.INVALID_VALUE, hint=hint
    )
