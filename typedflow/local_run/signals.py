"""What gates are given in a direct call: by name, of the types that they ask for; a name that is no gate's is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typedflow import errors, literals, spelling, type_engine
from typedflow.authoring import hints, signature
from typedflow.pb import events_pb2, workflows_pb2

PRINCIPAL = "local"


class Unanswered(errors.UsageError):
    """What a test says to gates does not fit them: for whoever wrote the test, not a failure of the workflow."""

    code = "Signals"


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of one graph, and what they ask for.

    Attributes:
        what: whose graph it is, for messages.
        prefix: what comes before its nodes' names in the signals' names.
        nodes: of the gates that wait for somebody, by name.
        asked: the annotations of what they are given, as far as they are known.
        inside: what names begin with that belong to graphs that are known later.
    """

    what: str
    prefix: str
    nodes: Mapping[str, workflows_pb2.GateNode]
    asked: Mapping[str, Any]
    inside: Sequence[str]

    @classmethod
    def of(
        cls, compiled: workflows_pb2.CompiledWorkflow, asked: Mapping[str, Any], what: str, prefix: str
    ) -> Gates:
        """Those of a compiled workflow."""
        dynamic = {each.id.name for each in compiled.tasks if each.dynamic}
        nodes = {}
        inside = []
        for node in compiled.workflow.nodes:
            match node.WhichOneof("target"):
                case "gate" if not node.gate.HasField("sleep"):
                    nodes[node.id] = node.gate
                case "launch_plan":
                    inside.append(f"{node.id}.")
                case "task" if node.task.task.name in dynamic:
                    inside.append(f"{node.id}.")
                case "map" if node.map.task.name in dynamic:
                    inside.append(f"{node.id}[")
        return cls(what, prefix, nodes, asked, inside)

    def check(self, given: Iterable[str]) -> None:
        """Raises Unanswered for a signal under this graph's prefix that is none of its gates'."""
        for name in given:
            own = name.removeprefix(self.prefix)
            if not name.startswith(self.prefix) or own in self.nodes or own.startswith(tuple(self.inside)):
                continue
            names = [self.prefix + each for each in self.nodes]
            nearest = spelling.nearest(name, names)
            hint = f"did you mean `{nearest}`?" if nearest else f"its gates are {_listed(names)}"
            if not names:
                hint = "it has no gates"
            raise Unanswered(f"`{name}` is no gate of {self.what}", where="signals", hint=hint)

    def events(
        self, given: Mapping[str, Any], before: str, data: type_engine.Data
    ) -> Iterator[events_pb2.SignalReceived]:
        """What the gates are told. Raises Unanswered for a value that does not fit.

        Args:
            given: by the signals' names.
            before: what comes before the nodes' names in the execution's own paths.
            data: where the bytes of values go.
        """
        for node, gate in self.nodes.items():
            name = self.prefix + node
            if name in given:
                told = _told(gate, self.asked.get(node, hints.UNKNOWN), given[name], name, data)
                told.node, told.principal = before + node, PRINCIPAL
                yield told


def missing(waiting: Sequence[tuple[str, workflows_pb2.GateNode]], what: str) -> Unanswered:
    """That nobody has said anything to these gates, and how to."""
    pairs = [f"{name!r}: {'True' if gate.HasField('approval') else '...'}" for name, gate in waiting if name]
    return Unanswered(
        f"{what} waits for {_listed([name for name, _ in waiting])}, and nothing was said to "
        f"{'it' if len(waiting) == 1 else 'them'}",
        hint=f"with typedflow.testing.local(signals={{{', '.join(pairs)}}}): ...",
    )


def _told(
    gate: workflows_pb2.GateNode, annotation: Any, value: Any, name: str, data: type_engine.Data
) -> events_pb2.SignalReceived:
    if gate.HasField("approval"):
        if not isinstance(value, bool):
            raise Unanswered(
                f"gate `{name}` is approved or not, and is given {value!r:.80}",
                where="signals",
                hint="give it True or False",
            )
        return events_pb2.SignalReceived(approved=value)
    try:
        if annotation is hints.UNKNOWN:  # of a graph that was built elsewhere: plain values will do
            literal = literals.from_json(value, gate.signal.type, "")
        else:
            literal = signature.types().converter(annotation).to_literal(value, "", data)
    except errors.ConversionError as error:
        at = f" at `{error.where.lstrip('.')}`" if error.where else ""
        raise Unanswered(f"gate `{name}`{at}: {error.message}", where="signals", hint=error.hint) from None
    return events_pb2.SignalReceived(value=literal)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
