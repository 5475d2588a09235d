"""The environment variables of an attempt: the server's own, without its secrets, and what the task asks for.

A secret's value is in the environment of the attempt that asked for it and nowhere else: never in a file, a log or a
message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from typedflow import errors
from typedflow.pb import tasks_pb2
from typedflow.run_task import processes
from typedflow_propeller import machine

_SECRET = "TYPEDFLOW_SECRET_"  # noqa: S105 - a prefix of names
_TOKEN = "TYPEDFLOW_TOKEN"  # noqa: S105 - a name


def of(options: tasks_pb2.TaskOptions, server: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a task with these options. `server`: this process's.

    Raises:
        NotFound: a secret is not there; names the variable that would hold it.
    """
    environment = {k: v for k, v in server.items() if k != _TOKEN and not k.startswith(_SECRET)}
    environment.update((each.name, each.value) for each in options.environment)
    for secret in options.secrets:
        source = variable_of(secret)
        if source not in server:
            raise errors.NotFound(
                f"there is no secret `{secret.key}` in group `{secret.group}`",
                code="SecretNotFound",
                hint=f"set {source} in the environment of the server",
            )
        environment[secret.env or secret.key] = server[source]
    return environment


def own(
    runner_uid: str, options: tasks_pb2.TaskOptions, shared: machine.Machine, gpus: tuple[str, ...]
) -> dict[str, str]:
    """What is in the environment of this one attempt only: its mark, and which GPUs it sees.

    Where there are GPUs, an attempt sees those that it has to itself, so none when it has asked for none; but what its
    author has set stays.
    """
    variables = {processes.MARK: runner_uid}
    if shared.gpus and all(each.name != machine.VISIBLE for each in options.environment):
        variables[machine.VISIBLE] = ",".join(gpus)
    return variables


def variable_of(secret: tasks_pb2.SecretReference) -> str:
    """The server's environment variable that holds a secret: `TYPEDFLOW_SECRET_HF_TOKEN`."""
    return _SECRET + re.sub(r"[^A-Z0-9]", "_", f"{secret.group}_{secret.key}".upper())
