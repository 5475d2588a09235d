"""Tasks that are programs in an image: the image, what the program is called with, and where its files lie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from typedflow.compiler import diagnostics
from typedflow.compiler.promises import some_of
from typedflow.compiler.report import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typedflow.compiler.interfaces import Checked
    from typedflow.compiler.report import Report
    from typedflow.pb.tasks_pb2 import ContainerTarget

INPUTS: Final = "/var/inputs"
OUTPUTS: Final = "/var/outputs"

_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")
_SIDES: Final = ("inputs", "outputs")
_LONGEST_IMAGE: Final = 512


def check(target: ContainerTarget, interface: Checked, owner: str, report: Report) -> None:
    """Notes what is wrong with a task of this kind; nothing is looked up, so the image need not exist."""
    if not target.image:
        report.add(
            diagnostics.MISSING_IMAGE,
            f"{owner} names no image to run",
            expected="an image reference, as in `registry/tool:1.2`",
        )
    elif not is_reference(target.image):
        report.add(
            diagnostics.INVALID_VALUE,
            f"the image of {owner} is not an image reference",
            expected="as in `registry/tool:1.2@sha256:...`",
            given=target.image,
        )
    variables: dict[str, Mapping[str, object]] = {"inputs": interface.inputs, "outputs": interface.outputs}
    for argument in (*target.command, *target.arguments):
        if report.full:
            break
        _check_argument(argument, variables, owner, report)
    _check_folders(target, owner, report)


def is_reference(image: str) -> bool:
    """Whether it could be an image reference."""
    return len(image) <= _LONGEST_IMAGE and image.isprintable() and " " not in image


def _check_argument(
    argument: str, variables: Mapping[str, Mapping[str, object]], owner: str, report: Report
) -> None:
    if "\0" in argument:
        message = f"an argument of {owner} has a NUL character"
        report.add(diagnostics.INVALID_VALUE, message, expected="a text without NUL", given=argument)
    for found in _PLACEHOLDER.finditer(argument):
        side, _, name = found[1].partition(".")
        if side not in _SIDES:
            continue  # braces of the program's own
        if name not in variables[side]:
            report.add(
                diagnostics.VARIABLE_NAME_NOT_FOUND,
                f"an argument of {owner} has `{cut(found[0], 100)}`, and there is no such {side[:-1]}",
                expected=some_of(variables[side]),
                given=name,
                label=cut(argument, 200),
                hint=report.did_you_mean(name.strip(), variables[side]),
            )


def _check_folders(target: ContainerTarget, owner: str, report: Report) -> None:
    folders = {"inputs": target.input_folder or INPUTS, "outputs": target.output_folder or OUTPUTS}
    for what, folder in folders.items():
        parts = folder.split("/")
        legal = (
            folder.startswith("/") and folder != "/" and not {"..", "."} & set(parts) and "\0" not in folder
        )
        if not legal:
            report.add(
                diagnostics.INVALID_VALUE,
                f"the folder for {what} of {owner} is not legal",
                expected=f"an absolute path below `/`, as in `/var/{what}`",
                given=folder,
            )
    one, other = (f"{folder.rstrip('/')}/" for folder in folders.values())
    if one.startswith(other) or other.startswith(one):
        report.add(
            diagnostics.INVALID_VALUE,
            f"the folders for inputs and outputs of {owner} are in each other",
            expected="two folders beside each other",
            given=f"{folders['inputs']}, {folders['outputs']}",
        )
