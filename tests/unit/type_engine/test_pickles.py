"""`Annotated[T, Pickle]`: pickled because the author says so, and never else."""

import platform
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

from typedflow import Pickle, errors, literal_types, literals, type_engine
from typedflow.dataplane import objects
from typedflow.type_engine.sensitive import Sensitive

ENGINE = type_engine.standard()


class Model:
    def __init__(self, weights: object) -> None:
        self.weights = weights

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.weights == self.weights

    __hash__ = None  # type: ignore[assignment]


class Special(Model):
    pass


class Boom:
    def __reduce__(self) -> Any:
        raise TypeError("no way")


class Bomb:
    """Unpickling it fails."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


MODEL = ENGINE.converter(Annotated[Model, Pickle])


def _there_and_back(annotation: Any, value: Any, data: type_engine.Data) -> Any:
    converter = ENGINE.converter(annotation)
    literal = converter.to_literal(value, "outputs.o0", data)
    assert literals.misfit(literal, converter.type, "outputs.o0") == ""
    return converter.from_literal(literal, "inputs.x", data)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Annotated[Model, Pickle], Model({1, 2})),
        (Annotated[Model, Pickle()], Model([object])),
        (Annotated[Model, Pickle], Special(None)),
        (list[Annotated[Model, Pickle]], [Model(1), Special(2)]),
        (Annotated[Model, Pickle] | None, Model(1)),
        (list[Annotated[Model, Pickle] | None], [None, Model(1)]),
        (Annotated[Model, Pickle, Sensitive], Model(1)),
        (Annotated[set[int], Pickle], {1, 2}),
        (Annotated[object, Pickle], (1, {2})),
    ],
)
def test_a_pickled_value_comes_back(annotation, value, data) -> None:
    back = _there_and_back(annotation, value, data)
    assert back == value
    assert type(back) is type(value)


def test_functions_come_back_with_what_they_have_taken_in(data) -> None:
    n = 2
    back = _there_and_back(Annotated[Callable[[int], int], Pickle], lambda x: x + n, data)
    assert back(1) == 3


def test_t3_a_pickled_type_is_marked_in_interfaces() -> None:
    assert literal_types.text(MODEL.type) == f"pickle:{__name__}.Model"
    assert MODEL.type.custom.representation == literal_types.file("pickle")
    assert literal_types.uses_pickle(ENGINE.converter(dict[str, list[Annotated[Model, Pickle] | None]]).type)
    assert not literal_types.uses_pickle(ENGINE.converter(list[str]).type)


def test_t3_without_the_mark_nothing_is_pickled() -> None:
    with pytest.raises(errors.DefinitionError, match="is not a supported type"):
        ENGINE.converter(Model)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Annotated[int, Pickle], "int travels without Pickle"),
        (Annotated[list[int], Pickle], r"list\[int\] travels without Pickle"),
        (Annotated[Model | None, Pickle], "is not a class"),
        (Annotated[Any, Pickle], "is not a class"),
        (Annotated["Model", Pickle], "is not a class"),
        (Annotated[Model, Pickle, type_engine.Format("csv")], "says nothing about a pickled"),
    ],
    ids=["int", "list", "union", "any", "text", "format"],
)
def test_what_needs_no_pickle_or_is_no_class_is_refused(annotation, message) -> None:
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        ENGINE.converter(annotation)
    assert raised.value.code == "UnsupportedType"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1, r"expected pickle:.*Model, got 1 \(int\)"),
        (None, "got None"),
        (Model(threading.Lock()), r"a .*Model can't be pickled: TypeError: cannot pickle"),
        (Model(Boom()), r"can't be pickled: TypeError: no way"),
    ],
)
def test_a_value_that_can_not_be_pickled_is_told_with_its_place(value, message, data) -> None:
    with pytest.raises(errors.ConversionError, match=message) as raised:
        MODEL.to_literal(value, "outputs.o0", data)
    assert raised.value.where == "outputs.o0"
    assert not list(data.folder.glob("*/pickle"))


def test_a_pickled_value_is_no_constant() -> None:
    with pytest.raises(errors.ConversionError, match="a pickled value can't be written here as a constant"):
        MODEL.to_literal(Model(1), "default", type_engine.NO_DATA)


def test_the_file_says_who_pickled_it(data) -> None:
    literal = MODEL.to_literal(Model(1), "o0", data)
    import cloudpickle

    assert (
        literal.file.name
        == f"Model.python-{platform.python_version()}.cloudpickle-{cloudpickle.__version__}.pickle"
    )
    assert literal.file.format == "pickle"


def test_another_minor_version_of_python_is_refused_before_anything_is_read(data) -> None:
    literal = MODEL.to_literal(Model(1), "o0", data)
    literal.file.name = "Model.python-3.2.1.cloudpickle-3.1.2.pickle"
    with pytest.raises(
        errors.ConversionError,
        match=r"pickled by Python 3\.2 \(cloudpickle 3\.1\.2\), and this is Python 3\.",
    ):
        MODEL.from_literal(literal, "inputs.x", data)


@pytest.mark.parametrize("change", [{"name": "model.pickle"}, {"format": "csv"}])
def test_s5_a_file_that_no_task_has_pickled_is_not_unpickled(change, data) -> None:
    literal = MODEL.to_literal(Model(1), "o0", data)
    for name, value in change.items():
        setattr(literal.file, name, value)
    with pytest.raises(errors.ConversionError, match="was not made by a task that returns"):
        MODEL.from_literal(literal, "inputs.x", data)


def test_s5_a_file_elsewhere_is_not_unpickled(data, tmp_path: Path) -> None:
    literal = MODEL.to_literal(Model(1), "o0", data)
    literal.file.blob.uri, literal.file.blob.digest = (tmp_path / "mine").as_uri(), ""
    with pytest.raises(errors.ConversionError, match="was not made by a task"):
        MODEL.from_literal(literal, "inputs.x", data)


def test_a_pickle_that_can_not_be_read_is_told_with_its_place(data) -> None:
    bomb = ENGINE.converter(Annotated[Bomb, Pickle])
    literal = bomb.to_literal(Bomb(), "o0", data)
    with pytest.raises(errors.ConversionError, match=r"pickle:.*Bomb can't be read: ValueError") as raised:
        bomb.from_literal(literal, "inputs.x", data)
    assert raised.value.where == "inputs.x"


def test_what_is_unpickled_must_be_of_the_class(data) -> None:
    literal = ENGINE.converter(Annotated[object, Pickle]).to_literal({1}, "o0", data)
    with pytest.raises(errors.ConversionError, match=r"expected pickle:.*Model, got"):
        MODEL.from_literal(literal, "inputs.x", data)


PROGRAM = """
    import sys
    from pathlib import Path
    from typing import Annotated
    from typedflow import Pickle, type_engine
    from typedflow.dataplane import objects
    from typedflow.pb import literals_pb2
    import models

    converter = type_engine.standard().converter(Annotated[models.Model, Pickle])
    literal = literals_pb2.Literal.FromString(Path(sys.argv[2]).read_bytes())
    data = type_engine.Data(objects.FolderStore(Path(sys.argv[1])), Path(sys.argv[2]).parent / "files")
    print(converter.from_literal(literal, "inputs.x", data).weights)
"""


def test_another_process_reads_what_this_one_has_pickled(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "models.py").write_text("class Model:\n    weights = None\n")
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    monkeypatch.syspath_prepend(str(tmp_path))
    import models  # type: ignore[import-not-found]

    model = models.Model()
    model.weights = {"a": [1.5]}
    store = type_engine.Data(objects.FolderStore(tmp_path / "store"), tmp_path / "here")
    literal = ENGINE.converter(Annotated[models.Model, Pickle]).to_literal(model, "o0", store)
    (tmp_path / "literal").write_bytes(literal.SerializeToString())
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", tmp_path / "store", tmp_path / "literal"],
        capture_output=True,
        text=True,
        check=False,
    )
    sys.modules.pop("models")
    assert done.stdout == "{'a': [1.5]}\n", done.stderr


def test_reading_annotations_loads_no_cloudpickle() -> None:
    code = (
        "import sys\nfrom typing import Annotated\nfrom typedflow import Pickle, type_engine\n"
        "type_engine.standard().converter(Annotated[object, Pickle])\n"
        "assert 'cloudpickle' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
