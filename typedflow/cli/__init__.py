"""The command line. Commands are loaded when they are called, so that help and mistakes answer at once."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import click

from typedflow import errors
from typedflow.cli import commands, failures

INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141


def main() -> None:
    """The program `typedflow`: runs `sys.argv` and exits with what API users may rely on.

    0 fine; 1 an execution failed; 2 bad usage, an unknown id, a conflict or an invalid workflow; 3 no server; 4 denied;
    130 interrupted.
    """
    signal.signal(signal.SIGTERM, _terminate)
    code = execute(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _broken_pipe()
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Runs one command and gives its exit code; whatever a user can do wrong is told on standard error."""
    color = False if os.environ.get("NO_COLOR") else None
    try:
        if "_TYPEDFLOW_COMPLETE" in os.environ:
            commands.typedflow.main(arguments, prog_name="typedflow")  # answers the shell and exits
        with commands.typedflow.make_context("typedflow", arguments, color=color) as context:
            commands.typedflow.invoke(context)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        failures.show_click(error, color)
        return error.exit_code
    except errors.TypedflowError as error:
        failures.show(error, color)
        return error.exit_code
    except failures.Interrupted as interrupted:
        failures.say(f"\n{interrupted}")
        return INTERRUPTED
    except (KeyboardInterrupt, click.Abort):
        failures.say("\ninterrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return _broken_pipe()
    return 0


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """Unwinds, so that what was started is ended and temporary folders go."""
    sys.exit(TERMINATED)


def _broken_pipe() -> int:
    """Whoever read our output has gone, which is not a failure: what is still buffered goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return BROKEN_PIPE
