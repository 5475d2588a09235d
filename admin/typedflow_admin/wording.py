"""What the parts of entities are called where two versions are compared, and how each is said in a few words.

Of a Sensitive input nothing is said but that it differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from google.protobuf import text_format
from google.protobuf.message import Message

from typedflow import identifiers, interface, literal_types, literals
from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.interface_pb2 import Interface, Variable
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan, Schedule
from typedflow.pb.literals_pb2 import Literal, NamedLiteral
from typedflow.pb.registry_pb2 import COMPATIBILITY_SAME
from typedflow.pb.tasks_pb2 import (
    CodeComponent,
    Distribution,
    EnvironmentVariable,
    SecretReference,
    TaskTemplate,
)
from typedflow.pb.types_pb2 import LiteralType
from typedflow.pb.workflows_pb2 import (
    Binding,
    BindingValue,
    CompiledWorkflow,
    Condition,
    Node,
    Operator,
    PathStep,
    Promise,
    Section,
)
from typedflow_admin import compilation, differences

LONGEST = 200
_HIDDEN = "***"
_DIGEST = 15

# Told as one, each in its words.
_WHOLE = (
    Binding,
    BindingValue,
    CodeComponent,
    Condition,
    Distribution,
    EnvironmentVariable,
    Identifier,
    Interface,
    Literal,
    LiteralType,
    NamedLiteral,
    Schedule,
    SecretReference,
    Section,
    Variable,
)
# What only holds something, by the kind of message and the field: it has no step of its own in a path.
_TRANSPARENT = frozenset(
    {
        ("BranchCase", "outputs"),
        ("BranchOutputs", "bindings"),
        ("Code", "components"),
        ("CompiledLaunchPlan", "launch_plan"),
        ("CompiledWorkflow", "workflow"),
        ("LiteralMap", "values"),
        ("Node", "task"),
        ("Node", "map"),
        ("Node", "branch"),
        ("Node", "gate"),
        ("Node", "launch_plan"),
        ("Node", "workflow"),
    }
)
# Where it is, what is said of it, and the archive that it came in.
_LEFT_OUT = frozenset({"position", "description", "bundle"})
_OPERATORS = dict(zip(Operator.values()[1:], ("==", "!=", "<", "<=", ">", ">="), strict=True))


class Words:
    """The words for two versions of an entity; see `differences.Wording`.

    Args:
        versions: both, for what is Sensitive in them and which references mean their own version.
        everything: positions and descriptions count too.
        left_out: paths of parts that are compared elsewhere.
    """

    def __init__(
        self,
        versions: Iterable[compilation.Compiled],
        *,
        everything: bool = False,
        left_out: Iterable[str] = (),
    ) -> None:
        listed = list(versions)
        self._everything = everything
        self._left_out = frozenset(left_out)
        self._own = {(id_.project, id_.domain, id_.version) for id_ in map(_id_of, listed)}
        self._hidden = frozenset(path for each in listed for path in _sensitive(each))

    def counts(self, path: str, field: str) -> bool:
        """See `differences.Wording`."""
        if self._everything:
            return True
        return field not in _LEFT_OUT and (f"{path}.{field}" if path else field) not in self._left_out

    def step(self, message: str, field: str) -> str:
        """See `differences.Wording`."""
        return "" if (message, field) in _TRANSPARENT else field

    def is_whole(self, message: Message) -> bool:
        """See `differences.Wording`."""
        return isinstance(message, _WHOLE)

    def same(self, old: Message, new: Message) -> bool:
        """See `differences.Wording`."""
        if isinstance(old, Identifier) and isinstance(new, Identifier):
            return self._reference(old) == self._reference(new)
        if isinstance(old, Interface) and isinstance(new, Interface) and not self._everything:
            return interface.compare(old, new).compatibility == COMPATIBILITY_SAME
        return old == new

    def text(self, message: Message, path: str) -> str:
        """See `differences.Wording`."""
        if path in self._hidden and isinstance(message, Binding | NamedLiteral):
            return _HIDDEN
        return differences.cut(self._words(message), LONGEST)

    def apart(self, old: Message, new: Message) -> str:
        """See `differences.Wording`. Records are printed by their names alone."""
        if not (isinstance(old, Interface) and isinstance(new, Interface)):
            return ""
        first = next(iter(interface.compare(old, new).variables), None)
        if first is None:
            return "one with other descriptions"
        return f"one whose {'output' if first.output else 'input'} `{first.name}` differs: {first.reason}"

    def _words(self, message: Message) -> str:
        match message:
            case Identifier():
                return self._reference(message)
            case TaskTemplate():
                return self._reference(message.id)
            case CompiledLaunchPlan():
                return self._reference(message.launch_plan.id)
            case Node():
                return self._node(message)
            case _:
                return _text(message)

    def _reference(self, id_: Identifier) -> str:
        """A name; with its version when that is not the version of what refers to it."""
        return id_.name if (id_.project, id_.domain, id_.version) in self._own else identifiers.text(id_)

    def _node(self, node: Node) -> str:
        match node.WhichOneof("target"):
            case "task":
                return self._reference(node.task.task)
            case "map":
                return f"{self._reference(node.map.task)} for each"
            case "launch_plan":
                return f"execution of {self._reference(node.launch_plan.launch_plan)}"
            case "workflow":
                return self._reference(node.workflow.workflow)
            case "gate":
                return str(node.gate.WhichOneof("gate") or "gate")
            case kind:
                return kind or "node"


def _id_of(compiled: compilation.Compiled) -> Identifier:
    match compiled:
        case CompiledWorkflow():
            return compiled.workflow.id
        case CompiledLaunchPlan():
            return compiled.launch_plan.id
        case _:
            return compiled.id


def _sensitive(compiled: compilation.Compiled) -> Iterator[str]:
    """The paths of what is given to Sensitive inputs.

    A launch plan's fixed inputs are not in its interface, so its workflow must be among what is compared, too.
    """
    if not isinstance(compiled, CompiledWorkflow):
        return
    names = _hidden_names(compiled.workflow.interface)
    yield from (f"{given}.{name}" for given in ("default_inputs", "fixed_inputs") for name in names)
    of_task = {
        identifiers.key(task.id): hidden
        for task in compiled.tasks
        if (hidden := _hidden_names(task.interface))
    }
    of_plan = {
        identifiers.key(plan.launch_plan.id): hidden
        for plan in compiled.launch_plans
        if (hidden := _hidden_names(plan.interface))
    }
    if of_task or of_plan:
        for node in compiled.workflow.nodes:
            hidden = (
                of_task.get(identifiers.key(node.task.task), ())
                or of_task.get(identifiers.key(node.map.task), ())
                or of_plan.get(identifiers.key(node.launch_plan.launch_plan), ())
            )
            yield from (f"nodes.{node.id}.inputs.{name}" for name in hidden)


def _hidden_names(of: Interface) -> tuple[str, ...]:
    return tuple(each.name for each in of.inputs if literal_types.has_sensitive(each.type))


def _literal(of: Literal) -> str:
    return json.dumps(literals.to_json(of), ensure_ascii=False)


def _binding(of: BindingValue) -> str:
    match of.WhichOneof("value"):
        case "literal":
            return _literal(of.literal)
        case "promise":
            return _promise(of.promise)
        case "list":
            return f"[{', '.join(map(_binding, of.list.elements))}]"
        case "dict":
            pairs = zip(of.dict.keys, of.dict.values, strict=False)
            return f"{{{', '.join(f'{json.dumps(key)}: {_binding(value)}' for key, value in pairs)}}}"
        case "record":
            return f"({', '.join(f'{each.name}={_binding(each.value)}' for each in of.record.fields)})"
        case "error":
            return "error"
        case _:
            return "nothing"


def _promise(of: Promise) -> str:
    node = f"{of.node}.{of.variable}" if of.node else of.variable
    return node + "".join(map(_path_step, of.path))


def _path_step(of: PathStep) -> str:
    match of.WhichOneof("step"):
        case "field":
            return f".{of.field}"
        case "index":
            return f"[{of.index}]"
        case _:
            return f"[{json.dumps(of.key)}]"


def _condition(of: Condition) -> str:
    match of.WhichOneof("condition"):
        case "comparison":
            operator = _OPERATORS.get(of.comparison.operator, "?")
            return f"{_binding(of.comparison.left)} {operator} {_binding(of.comparison.right)}"
        case "value":
            return _binding(of.value)
        case "all":
            return " & ".join(f"({_condition(each)})" for each in of.all.conditions)
        case "any":
            return " | ".join(f"({_condition(each)})" for each in of.any.conditions)
        case "negated":
            return f"~({_condition(of.negated)})"
        case _:
            return "else"


def _schedule(of: Schedule) -> str:
    kickoff = f", time to {of.kickoff_time_input}" if of.kickoff_time_input else ""
    if of.HasField("rate"):
        return f"every {of.rate.period_ms / 1000:g} s{kickoff}"
    return f"{of.cron.expression} {of.cron.timezone or 'UTC'}{kickoff}"


def _section(of: Section) -> str:
    return f"case {of.branch.case} of {of.branch.node}" if of.HasField("branch") else "on failure"


def _text(message: Message) -> str:  # noqa: C901, PLR0911 - a line for each kind of part
    match message:
        case Binding():
            return _binding(message.value)
        case BindingValue():
            return _binding(message)
        case CodeComponent():
            return differences.cut(message.digest, _DIGEST)
        case Condition():
            return _condition(message)
        case Distribution():
            return message.version
        case EnvironmentVariable():
            return message.value
        case Interface():
            return interface.text(message)
        case Literal():
            return _literal(message)
        case NamedLiteral():
            return _literal(message.value)
        case LiteralType():
            return literal_types.text(message)
        case Schedule():
            return _schedule(message)
        case SecretReference():
            return f"{message.group}/{message.key} as {message.env}"
        case Section():
            return _section(message)
        case Variable():
            return f"{message.name}: {literal_types.text(message.type)}"
        case _:
            return text_format.MessageToString(message, as_one_line=True)
