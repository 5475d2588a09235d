"""Tensors, state dicts and modules: in safetensors files, without pickle. Run by scripts/test-torch."""

import collections
import dataclasses
import itertools
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from safetensors import torch as safetensors_torch
from torch import nn

from typedflow import Pickle, Transformer, errors, literal_types, literals, type_engine
from typedflow.dataplane import objects
from typedflow.pb import literals_pb2
from typedflow.type_engine import files

pytestmark = pytest.mark.torch

ENGINE = type_engine.standard()
TENSOR = ENGINE.converter(torch.Tensor)
STATE = ENGINE.converter(dict[str, torch.Tensor])


def _there_and_back(annotation: Any, value: Any, data: type_engine.Data) -> Any:
    converter = ENGINE.converter(annotation)
    literal = converter.to_literal(value, "outputs.o0", data)
    assert literals.misfit(literal, converter.type, "outputs.o0") == ""
    return converter.from_literal(literal, "inputs.x", data)


def _identical(one: Any, other: Any) -> bool:
    """The same bits, dtype and shape."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    plain = [t.resolve_conj().resolve_neg() for t in (one, other)]
    bits = [t.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8) for t in plain]
    return bool(torch.equal(*bits))


DTYPES = [
    *(
        torch.bool,
        torch.uint8,
        torch.uint16,
        torch.uint32,
        torch.uint64,
        torch.int8,
        torch.int16,
        torch.int32,
    ),
    *(torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
    *(torch.float8_e4m3fn, torch.float8_e5m2),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_bit_of_a_tensor_comes_back(dtype, data) -> None:
    size = torch.empty(0, dtype=dtype).element_size()
    bits = torch.randint(0, 2 if dtype == torch.bool else 256, (6 * size,), dtype=torch.uint8)
    value = bits.view(dtype).reshape(2, 3)
    back = _there_and_back(torch.Tensor, value, data)
    assert type(back) is torch.Tensor
    assert _identical(back, value)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(1.5),
        torch.zeros(0),
        torch.zeros(3, 0, 2),
        torch.arange(12).reshape(3, 4).T,
        torch.arange(12)[::3],
        torch.arange(12)[4:6],
        torch.ones(1).expand(5),
        torch.tensor([1 + 2j]).conj(),
        torch.tensor([1 + 2j]).conj().imag,
        torch.tensor([0x7FC00001, 0x7F800001, -1], dtype=torch.int32).view(torch.float32),
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    ],
    ids=[
        "0d",
        "empty",
        "no rows",
        "transposed",
        "steps",
        "slice",
        "expanded",
        "conj",
        "neg",
        "nan",
        "channels",
    ],
)
def test_a_tensor_of_any_form_comes_back_contiguous(value, data) -> None:
    back = _there_and_back(torch.Tensor, value, data)
    assert _identical(back, value)
    assert back.is_contiguous()


def test_a_slice_does_not_bring_the_whole(data) -> None:
    literal = TENSOR.to_literal(torch.zeros(1_000_000)[:10], "x", data)
    assert literal.file.blob.size < 1000


def test_what_comes_back_is_the_receivers_own(data) -> None:
    literal = TENSOR.to_literal(torch.zeros(3), "x", data)
    TENSOR.from_literal(literal, "x", data).add_(1)
    assert TENSOR.from_literal(literal, "x", data).sum() == 0


def test_equal_tensors_have_equal_content(data) -> None:
    one, other = (TENSOR.to_literal(t, "x", data) for t in (torch.ones(2, 2), torch.ones(4).reshape(2, 2).T))
    assert one.file.content == other.file.content
    assert TENSOR.to_literal(torch.ones(4), "x", data).file.content != one.file.content


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(2, requires_grad=True), r"gradients\n  help: write \.detach\(\)"),
        (nn.Parameter(torch.ones(2)), r"expected torch\.Tensor, got (.|\n)*write \.detach\(\)"),
        (torch.ones(2).to_sparse(), r"its layout is torch\.sparse_coo\n  help: write \.to_dense"),
        (torch.ones(2, device="meta"), "the device meta, and has no values"),
        (torch.ones(2, dtype=torch.complex128), r"can't hold torch\.complex128"),
        ([1.0], r"expected torch\.Tensor, got \[1\.0\] \(list\)"),
        (None, "got None"),
    ],
    ids=["gradients", "parameter", "sparse", "meta", "complex128", "list", "None"],
)
def test_what_would_not_come_back_as_it_is_is_refused(value, message, data) -> None:
    with pytest.raises(errors.ConversionError, match=message) as raised:
        ENGINE.converter(list[torch.Tensor]).to_literal([torch.ones(1), value], "o0", data)
    assert raised.value.where == "o0[1]"


def test_a_tensor_is_no_constant() -> None:
    with pytest.raises(errors.ConversionError, match="a tensor can't be written here as a constant"):
        TENSOR.to_literal(torch.ones(1), "default", type_engine.NO_DATA)


@dataclasses.dataclass
class Batch:
    x: torch.Tensor
    y: torch.Tensor | None


def test_tensors_stand_wherever_a_type_does(data) -> None:
    batch = _there_and_back(
        list[Batch], [Batch(torch.ones(2), None), Batch(torch.ones(1), torch.zeros(1))], data
    )
    assert batch[0].y is None
    assert _identical(batch[1].y, torch.zeros(1))
    assert literal_types.text(ENGINE.converter(list[torch.Tensor | None]).type) == "list[torch.Tensor | None]"


def holds(literal: literals_pb2.Literal, blob: literals_pb2.Blob) -> None:
    """Makes a file's literal that of other bytes."""
    literal.file.blob.CopyFrom(blob)
    literal.file.content = files.content(blob.digest, literal.file.format)


def test_any_program_reads_the_file_and_any_programs_file_is_read(data, tmp_path: Path) -> None:
    literal = TENSOR.to_literal(torch.arange(3), "x", data)
    with data.checked_file(literal.file.blob) as file:
        assert torch.equal(safetensors_torch.load_file(file)["tensor"], torch.arange(3))
    safetensors_torch.save_file({"weights": torch.arange(4)}, tmp_path / "a.safetensors")
    holds(literal, data.put_file(tmp_path / "a.safetensors"))
    assert torch.equal(TENSOR.from_literal(literal, "x", data), torch.arange(4))
    assert list(STATE.from_literal(literal, "x", data)) == ["weights"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"pickle", "it is no safetensors file"),
        (safetensors_torch.save({"a": torch.ones(1), "b": torch.ones(1)}), "of one tensor, and this has 2"),
        (safetensors_torch.save({"a": torch.ones(1)}, {"typedflow": "{}"}), "the notes in .* are wrong"),
        (
            safetensors_torch.save(
                {"a": torch.ones(1)}, {"typedflow": json.dumps({"order": ["b"], "same": {}})}
            ),
            "the notes in .* are wrong",
        ),
    ],
    ids=["no file", "two", "notes", "names"],
)
def test_a_file_that_is_something_else_is_told_with_its_place(content, message, data) -> None:
    literal = TENSOR.to_literal(torch.ones(1), "x", data)
    holds(literal, data.put_bytes(content))
    with pytest.raises(errors.ConversionError, match=message) as raised:
        TENSOR.from_literal(literal, "inputs.x", data)
    assert raised.value.where == "inputs.x"


# State dicts


def test_a_dict_of_tensors_is_one_file_in_its_order(data) -> None:
    value = {"b": torch.ones(2), "a": torch.zeros(1, dtype=torch.int64), "c.d": torch.tensor(1.0)}
    literal = STATE.to_literal(value, "x", data)
    assert literal.WhichOneof("value") == "file"
    back = STATE.from_literal(literal, "x", data)
    assert type(back) is dict
    assert list(back) == ["b", "a", "c.d"]
    assert all(_identical(back[name], value[name]) for name in value)
    assert literal_types.text(STATE.type) == "dict[str, torch.Tensor]"
    assert _there_and_back(dict[str, torch.Tensor], {}, data) == {}


def test_a_state_dict_comes_back_as_it_was(data) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    back = _there_and_back(dict[str, torch.Tensor], model.state_dict(), data)
    assert type(back) is collections.OrderedDict
    assert vars(back) == vars(model.state_dict())
    made = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    made.load_state_dict(back)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), model.parameters(), strict=True))


def test_one_tensor_under_two_names_is_written_once_and_stays_one(data) -> None:
    shared = torch.randn(1000)
    value = {"embed": shared, "head": shared.detach(), "half": shared[:500], "same": shared.clone()}
    literal = STATE.to_literal(value, "x", data)
    back = STATE.from_literal(literal, "x", data)
    assert back["embed"] is back["head"]
    assert back["half"].untyped_storage().data_ptr() != back["embed"].untyped_storage().data_ptr()
    assert all(_identical(back[name], value[name]) for name in value)
    assert literal.file.blob.size < 11_000


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": torch.ones(1), "b c": 1}, r'o0\["b c"\]: expected dict\[str, torch\.Tensor\], got 1'),
        ({1: torch.ones(1)}, r"expected str, got 1 \(int\): it is a key"),
        ({"a": nn.Parameter(torch.ones(1))}, r'o0\["a"\]: expected dict'),
        ([], r"expected dict\[str, torch\.Tensor\], got \[\]"),
    ],
    ids=["value", "key", "parameter", "list"],
)
def test_a_dict_of_something_else_is_told_with_its_place(value, message, data) -> None:
    with pytest.raises(errors.ConversionError, match=message):
        STATE.to_literal(value, "o0", data)


# Modules


class Net(nn.Module):
    def __init__(self, sizes: list[int], rate: float = 0.5, device=None) -> None:  # noqa: ARG002 - as torch's own have it
        super().__init__()
        self.sizes = sizes
        self.rate = rate
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.drop = nn.Dropout(rate)
        self.norm = nn.BatchNorm1d(sizes[-1])
        self.register_buffer("steps", torch.arange(3), persistent=False)
        self.act = lambda x: x * rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.act(self.norm(self.drop(x)))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 3)
        self.head = nn.Linear(3, 3)
        self.head.weight = self.embed.weight


class Outer(nn.Module):
    def __init__(self, inner: Net, scale: float) -> None:
        super().__init__()
        self.inner = inner
        self.scale = scale


def test_a_module_comes_back_with_its_arguments_and_its_state(data) -> None:
    net = Net([4, 3, 2], 0.25)
    net(torch.randn(8, 4))
    net.eval()
    net.layers[0].requires_grad_(False)
    net.drop.train()
    drawn = torch.random.get_rng_state()
    back = _there_and_back(Net, net, data)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert type(back) is Net
    assert (back.sizes, back.rate, back.drop.p) == ([4, 3, 2], 0.25, 0.25)
    assert [part.training for part in back.modules()] == [part.training for part in net.modules()]
    assert [each.requires_grad for each in back.parameters()] == [
        each.requires_grad for each in net.parameters()
    ]
    net.drop.eval(), back.drop.eval()
    x = torch.randn(5, 4)
    assert torch.equal(back(x), net(x))


def test_the_type_of_a_module_says_what_it_is_made_with() -> None:
    of = ENGINE.converter(Net).type.custom
    assert of.name == f"{__name__}.Net"
    fields = of.representation.record.fields
    assert [literal_types.text(each.type) for each in fields] == ["list[int]", "float", "File[safetensors]"]
    assert [each.optional for each in fields] == [False, True, False]


def test_another_dtype_and_ties_are_kept(data) -> None:
    net = _there_and_back(Net, Net([2, 2]).to(torch.bfloat16), data)
    assert {each.dtype for each in net.parameters()} == {torch.bfloat16}
    tied = _there_and_back(Tied, Tied(), data)
    assert tied.head.weight is tied.embed.weight
    assert len(list(tied.parameters())) == 3


def test_a_module_of_modules_and_torchs_own_travel(data) -> None:
    outer = Outer(Net([2, 2]), 2.0)
    back = _there_and_back(list[Outer | None], [outer, None], data)[0]
    assert torch.equal(back.inner.layers[0].weight, outer.inner.layers[0].weight)
    linear = _there_and_back(nn.Linear, nn.Linear(2, 3), data)
    assert linear.weight.shape == (3, 2)


def _changed(change: Any) -> Net:
    net = Net([2, 2])
    change(net)
    return net


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda net: setattr(net.drop, "p", 0.9),
            r"`drop` has an attribute `p` that is not what __init__ makes",
        ),
        (lambda net: setattr(net, "best", 1), r"it has an attribute `best` that __init__ does not set"),
        (lambda net: setattr(net, "rate", 0.1), r"would come back different: it has an attribute `act`"),
        (lambda net: setattr(net, "act", lambda x: x), "attribute `act` that is not what"),
        (lambda net: setattr(net.act, "__defaults__", (1,)), "attribute `act` that is not what"),
        (lambda net: setattr(net, "drop", nn.Identity()), "`drop` is a Identity, and is made a Dropout"),
        (lambda net: setattr(net, "more", nn.Identity()), "`more` is not made by __init__"),
        (lambda net: net.register_forward_hook(lambda *_: None), "it has hooks"),
        (lambda net: setattr(net, "steps", torch.ones(3)), "the buffer `steps` is not saved"),
        (lambda net: setattr(net.layers[0], "bias", None), "its state has other names: 'layers.0.bias'"),
        (
            lambda net: setattr(net.norm, "weight", net.norm.bias),
            "other parameters of it are one and the same",
        ),
        (lambda net: delattr(net, "sizes"), "it has no attribute `sizes` to be made with"),
        (lambda net: setattr(net, "sizes", []), r"refuses these values: IndexError"),
    ],
    ids=[
        *(
            "value",
            "more",
            "argument",
            "function",
            "defaults",
            "class",
            "part",
            "hooks",
            "buffer",
            "state",
            "ties",
            "gone",
        ),
        "refused",
    ],
)
def test_a_module_that_would_come_back_different_is_refused(change, message, data) -> None:
    with pytest.raises(errors.ConversionError, match=message) as raised:
        ENGINE.converter(list[Net]).to_literal([Net([2, 2]), _changed(change)], "o0", data)
    assert raised.value.where == "o0[1]"


class Untyped(nn.Module):
    def __init__(self, width) -> None:  # noqa: ARG002 - what is tried
        super().__init__()


class Unsupported(nn.Module):
    def __init__(self, width: set[int]) -> None:  # noqa: ARG002 - what is tried
        super().__init__()


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (nn.Module, "is any module"),
        (nn.Sequential, r"`\*args.*` of `.*Sequential\.__init__` can't be given by name"),
        (Untyped, r"`width` of `.*Untyped\.__init__` has no type"),
        (Unsupported, r"`width` of .*: set\[int\] is not a supported type"),
    ],
    ids=["any", "sequential", "untyped", "unsupported"],
)
def test_a_class_that_can_not_be_made_anew_is_refused_at_definition(annotation, message) -> None:
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        ENGINE.converter(annotation)
    assert raised.value.code == "UnsupportedType"


def test_a_module_may_have_a_transformer_of_its_own_or_be_pickled(data) -> None:
    class Width(Transformer[Untyped, int]):
        name = "Untyped"

        def encode(self, value: Untyped) -> int:
            return len(list(value.parameters())) + 1

        def decode(self, raw: int) -> Untyped:
            return Untyped(raw)

    engine = type_engine.standard()
    engine.register_transformer(Width())
    assert engine.converter(Untyped).type == literal_types.custom("Untyped", literal_types.INT)
    assert type(_there_and_back(Annotated[Untyped, Pickle], Untyped(1), data)) is Untyped


def test_state_that_the_class_does_not_take_any_more_is_told(data) -> None:
    literal = ENGINE.converter(Net).to_literal(Net([2, 2]), "o0", data)
    literal.record.fields[0].value.list.integers.values[:] = [2, 3]
    with pytest.raises(errors.ConversionError, match="does not take this state: ") as raised:
        ENGINE.converter(Net).from_literal(literal, "inputs.x", data)
    assert "has its code changed since" in raised.value.hint


PROGRAM = """
    import sys
    from pathlib import Path
    from typedflow import type_engine
    from typedflow.dataplane import objects
    from typedflow.pb import literals_pb2
    import torch

    literal = literals_pb2.Literal.FromString(Path(sys.argv[2]).read_bytes())
    data = type_engine.Data(objects.FolderStore(Path(sys.argv[1])), Path(sys.argv[2]).parent / "files")
    print(type_engine.standard().converter(torch.Tensor).from_literal(literal, "x", data).tolist())
"""


def test_another_process_reads_a_tensor(tmp_path: Path) -> None:
    data = type_engine.Data(objects.FolderStore(tmp_path / "store"), tmp_path / "here")
    (tmp_path / "literal").write_bytes(
        TENSOR.to_literal(torch.tensor([[1, 2]]), "x", data).SerializeToString()
    )
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), tmp_path / "store", tmp_path / "literal"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[[1, 2]]\n", done.stderr


def test_s5_what_is_stored_of_a_tensor_is_no_pickle(data) -> None:
    literal = TENSOR.to_literal(torch.ones(1), "x", data)
    with data.checked_file(literal.file.blob) as file:
        assert file.read_bytes()[8:].startswith(b'{"__metadata__"')
