"""Types of the author's own: a transformer says how their values travel."""

import dataclasses
import importlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import pytest

from typedflow import File, Transformer, errors, literal_types, literals, type_engine
from typedflow.type_engine import transformers
from typedflow.type_engine.directories import Directory
from typedflow.type_engine.sensitive import Sensitive

T = TypeVar("T")


class Molecule:
    def __init__(self, formula: str) -> None:
        self.formula = formula

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.formula == self.formula

    __hash__ = None  # type: ignore[assignment]


class Salt(Molecule):
    pass


class Box(Generic[T]):
    pass


class ByFormula(Transformer[Molecule, str]):
    name = "chemistry.Molecule"

    def encode(self, value: Molecule) -> str:
        if value.formula == "?":
            raise ValueError("it has no formula")
        return value.formula

    def decode(self, raw: str) -> Molecule:
        if raw == "!":
            return raw  # type: ignore[return-value]
        return Molecule(raw)


@dataclasses.dataclass
class Reaction:
    product: Molecule
    educts: list[Molecule]
    catalyst: Molecule | None = None


@pytest.fixture
def engine() -> type_engine.TypeEngine:
    made = type_engine.standard()
    made.register_transformer(ByFormula())
    return made


def _engine(transformer: Transformer) -> type_engine.TypeEngine:
    made = type_engine.standard()
    made.register_transformer(transformers.check(transformer))
    return made


def _there_and_back(
    engine: type_engine.TypeEngine, annotation: Any, value: Any, data: type_engine.Data
) -> Any:
    converter = engine.converter(annotation)
    literal = converter.to_literal(value, "outputs.o0", data)
    assert literals.misfit(literal, converter.type, "outputs.o0") == ""
    return converter.from_literal(literal, "inputs.x", data)


WATER, SUGAR = Molecule("H2O"), Molecule("C6H12O6")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Molecule, WATER),
        (list[Molecule], [WATER, SUGAR]),
        (list[Molecule], []),
        (Molecule | None, WATER),
        (list[Molecule | None], [WATER, None, SUGAR]),
        (list[str | Molecule], ["H2O", WATER]),
        (dict[str, Molecule], {"b": WATER, "a": SUGAR}),
        (tuple[Molecule, int], (WATER, 1)),
        (Reaction, Reaction(WATER, [SUGAR], None)),
        (list[Reaction], [Reaction(WATER, [SUGAR, WATER], SUGAR)]),
        (Annotated[Molecule, Sensitive], WATER),
    ],
)
def test_a_value_comes_back_wherever_its_type_stands(engine, data, annotation, value) -> None:
    assert _there_and_back(engine, annotation, value, data) == value


def test_what_travels_is_the_representation_under_the_types_name(engine) -> None:
    converter = engine.converter(Molecule)
    assert converter.type == literal_types.custom("chemistry.Molecule", literal_types.STRING)
    assert literal_types.text(engine.converter(list[Molecule]).type) == "list[chemistry.Molecule]"
    assert converter.to_literal(WATER, "x", type_engine.NO_DATA) == literals.from_str("H2O")


def test_the_name_is_the_classs_own_unless_one_is_given() -> None:
    class Unnamed(Transformer[Molecule, str]):
        def encode(self, value: Molecule) -> str:
            return value.formula

        def decode(self, raw: str) -> Molecule:
            return Molecule(raw)

    assert _engine(Unnamed()).converter(Molecule).type.custom.name == f"{__name__}.Molecule"


def test_another_name_is_another_type(engine) -> None:
    class Second(ByFormula):
        name = "chemistry.Molecule.v2"

    other = _engine(Second()).converter(Molecule).type
    assert literal_types.is_assignable(engine.converter(Molecule).type, other) is not None
    assert literal_types.is_assignable(literal_types.STRING, other) is not None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Molecule("?"), r"chemistry\.Molecule failed with ValueError: it has no formula"),
        ("H2O", r"expected chemistry\.Molecule, got 'H2O' \(str\)"),
        (Salt("NaCl"), r"takes Molecule itself, and none of its subclasses"),
    ],
)
def test_a_value_that_can_not_be_encoded_is_told_with_its_place(engine, value, message) -> None:
    for annotation, given, where in ((Molecule, value, "o0"), (list[Molecule], [WATER, value], "o0[1]")):
        with pytest.raises(errors.ConversionError, match=message) as raised:
            engine.converter(annotation).to_literal(given, "o0", type_engine.NO_DATA)
        assert raised.value.where == where


def test_what_decode_gives_must_be_of_the_class(engine) -> None:
    with pytest.raises(
        errors.ConversionError, match=r"decode\(\) .* of chemistry\.Molecule gave a str"
    ) as raised:
        engine.converter(list[Molecule]).from_literal(
            literals.from_json(["H2O", "!"], literal_types.list_of(literal_types.STRING), "x"),
            "inputs.x",
            type_engine.NO_DATA,
        )
    assert raised.value.where == "inputs.x[1]"


def test_what_encode_gives_must_be_of_the_representation() -> None:
    class Wrong(ByFormula):
        def encode(self, value: Molecule) -> Any:
            return len(value.formula)

    with pytest.raises(
        errors.ConversionError,
        match=r"encode\(\) of the transformer of chemistry\.Molecule: expected str, got 3",
    ):
        _engine(Wrong()).converter(Molecule).to_literal(WATER, "o0", type_engine.NO_DATA)


def test_a_sensitive_value_is_not_in_what_its_transformer_says() -> None:
    class Quiet(Transformer[Molecule, Annotated[str, Sensitive]]):
        def encode(self, value: Molecule) -> str:
            raise ValueError(value.formula)

        def decode(self, raw: str) -> Molecule:
            return Molecule(raw)

    with pytest.raises(errors.ConversionError) as raised:
        _engine(Quiet()).converter(Molecule).to_literal(Molecule("secret"), "o0", type_engine.NO_DATA)
    assert "secret" not in str(raised.value)


class Kept(Transformer[Molecule, str]):
    subclasses = True

    def encode(self, value: Molecule) -> str:
        return f"{type(value).__name__}:{value.formula}"

    def decode(self, raw: str) -> Molecule:
        name, formula = raw.split(":")
        return {"Molecule": Molecule, "Salt": Salt}[name](formula)


def test_subclasses_travel_where_the_transformer_says_so(data) -> None:
    engine = _engine(Kept())
    assert _there_and_back(engine, list[Molecule], [Salt("NaCl"), WATER], data) == [Salt("NaCl"), WATER]
    assert _there_and_back(engine, Molecule | str, Salt("NaCl"), data) == Salt("NaCl")


@pytest.mark.parametrize(
    ("subclasses", "hint"), [(True, "annotate it `Molecule`"), (False, "register one for it")]
)
def test_an_annotation_of_a_subclass_says_what_to_do(subclasses, hint) -> None:
    transformer = Kept()
    transformer.subclasses = subclasses
    with pytest.raises(
        errors.DefinitionError, match=r"Salt has no transformer, only .*Molecule has"
    ) as raised:
        _engine(transformer).converter(Salt)
    assert hint in raised.value.hint
    assert raised.value.code == "UnsupportedType"


class ByFile(Transformer[Molecule, File]):
    def encode(self, value: Molecule) -> File:
        path = self.new_folder() / "molecule.txt"
        path.write_text(value.formula)
        return File(path)

    def decode(self, raw: File) -> Molecule:
        (self.new_folder() / "scratch").touch()
        return Molecule(raw.path.read_text())


def _folders(data: type_engine.Data) -> set[Path]:
    return set(data.folder.glob("*")) if data.folder.exists() else set()


def test_files_made_in_encode_are_published_and_then_gone(data) -> None:
    converter = _engine(ByFile()).converter(list[Molecule])
    before = _folders(data)
    literal = converter.to_literal([WATER, SUGAR], "o0", data)
    assert _folders(data) == before
    assert converter.from_literal(literal, "x", data) == [WATER, SUGAR]
    assert len(_folders(data) - before) == 4  # two files that were received, two folders of decode's


def test_a_transformer_of_folders_works_too(data) -> None:
    class ByFolder(Transformer[Molecule, Directory]):
        def encode(self, value: Molecule) -> Directory:
            folder = self.new_folder()
            (folder / "formula").write_text(value.formula)
            return Directory(folder)

        def decode(self, raw: Directory) -> Molecule:
            return Molecule((raw.path / "formula").read_text())

    assert _there_and_back(_engine(ByFolder()), Molecule, WATER, data) == WATER


def test_there_is_no_folder_where_no_value_is_under_way_or_in_a_definition() -> None:
    with pytest.raises(errors.UsageError, match="while a value is converted"):
        ByFile().new_folder()
    with pytest.raises(errors.ConversionError, match="can't be written here as a constant") as raised:
        _engine(ByFile()).converter(Molecule).to_literal(WATER, "default", type_engine.NO_DATA)
    assert raised.value.where == "default"


def test_a_representation_may_be_of_another_transformers_type(data) -> None:
    class Wrapped:
        def __init__(self, inside: Molecule) -> None:
            self.inside = inside

    class Wrapping(Transformer[Wrapped, dict[str, list[Molecule]]]):
        name = "Wrapped"

        def encode(self, value: Wrapped) -> dict[str, list[Molecule]]:
            return {"inside": [value.inside]}

        def decode(self, raw: dict[str, list[Molecule]]) -> Wrapped:
            return Wrapped(raw["inside"][0])

    engine = _engine(ByFile())
    engine.register_transformer(Wrapping())
    assert _there_and_back(engine, Wrapped, Wrapped(WATER), data).inside == WATER


def test_a_transformer_may_be_generic_or_made_for_a_class(data) -> None:
    class Json(Transformer[T, dict[str, str]], Generic[T]):
        def encode(self, value: T) -> dict[str, str]:
            return vars(value)

        def decode(self, raw: dict[str, str]) -> T:
            made: T = self.python_type(**raw)
            return made

    class JsonMolecule(Json[Molecule]):
        pass

    class Made(Json[Any]):
        def __init__(self, of: type) -> None:
            self.python_type = of

    assert _there_and_back(_engine(JsonMolecule()), Molecule, WATER, data) == WATER
    engine = _engine(Made(Salt))
    engine.register_transformer(Made(Molecule))
    assert _there_and_back(engine, list[Salt], [Salt("KCl")], data) == [Salt("KCl")]


# What can't be registered


class Nothing(Transformer):
    def encode(self, value: Any) -> Any:
        return value

    def decode(self, raw: Any) -> Any:
        return raw


class OfText(Transformer["Molecule", str]):
    encode = decode = Nothing.encode  # type: ignore[assignment]


class OfBox(Transformer[Box[int], str]):
    encode = decode = Nothing.encode  # type: ignore[assignment]


class Abstract(Transformer[Molecule, str]):
    pass


class BadName(ByFormula):
    name = "pickle:Molecule"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Nothing, "does not say which type it is for"),
        (OfText, "does not say which type it is for"),
        (OfBox, r"is for .*Box\[int\], and a transformer is for a class\n  help: make it one for `Box`"),
        (Abstract, "can't be made without arguments: .*abstract"),
        (BadName, "has the name 'pickle:Molecule', which is not the name of a type"),
        (Molecule, "is not a Transformer"),
        (None, "None is not a Transformer"),
    ],
)
def test_what_is_no_transformer_of_a_class_is_refused(given, message) -> None:
    with pytest.raises(errors.DefinitionError, match=message):
        transformers.check(given)


@pytest.mark.parametrize("own", [int, str, File, Reaction, type(None)])
def test_typedflows_own_types_take_no_transformer(engine, own) -> None:
    transformer = Nothing()
    transformer.python_type, transformer.representation = own, str
    with pytest.raises(errors.DefinitionError, match="is one of typedflow's own types"):
        engine.register_transformer(transformer)


def test_a_type_has_one_transformer(engine) -> None:
    class Another(ByFormula):
        pass

    with pytest.raises(
        errors.DefinitionError, match=r"Molecule has a transformer already, `.*ByFormula`"
    ) as raised:
        engine.register_transformer(Another())
    assert "not both" in raised.value.hint


def test_a_name_is_one_types(engine) -> None:
    class OfSalt(Transformer[Salt, str]):
        name = "chemistry.Molecule"
        encode = decode = Nothing.encode  # type: ignore[assignment]

    with pytest.raises(
        errors.DefinitionError, match=r"Molecule goes by the name chemistry\.Molecule already"
    ):
        engine.register_transformer(OfSalt())


def test_registering_the_same_transformer_again_replaces_it(engine) -> None:
    first = engine.converter(list[Molecule])
    engine.register_transformer(ByFormula())
    assert engine.converter(list[Molecule]) is not first
    assert engine.converter(list[Molecule]).type == first.type


def test_a_class_that_is_made_again_takes_its_transformer_with_it() -> None:
    engine = type_engine.standard()
    for _ in range(2):
        space: dict[str, Any] = {"Transformer": Transformer, "__name__": "notebook"}
        exec(  # as a cell that is run again
            "class M: pass\nclass X(Transformer[M, str]):\n encode = decode = lambda self, v: v\n", space
        )
        engine.register_transformer(space["X"]())
        assert engine.converter(space["M"]).type.custom.name == "notebook.M"


def test_a_class_with_arguments_is_not_taken_for_the_class_itself() -> None:
    transformer = Nothing()
    transformer.python_type, transformer.representation = Box, str
    with pytest.raises(errors.DefinitionError, match=r"Box\[int\] has arguments") as raised:
        _engine(transformer).converter(Box[int])
    assert raised.value.hint == "annotate it `Box`"


def test_a_representation_that_is_not_supported_is_told_at_the_annotation() -> None:
    transformer = ByFormula()
    transformer.representation = set[int]
    with pytest.raises(errors.DefinitionError, match=r"what chemistry\.Molecule travels as: set\[int\]"):
        _engine(transformer).converter(list[Molecule])


def test_an_engine_knows_nothing_of_anothers_transformers(engine) -> None:
    with pytest.raises(errors.DefinitionError, match="is not a supported type"):
        type_engine.standard().converter(Molecule)


# Installed distributions


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lays a distribution that has an entry point, and gives the module of the class."""
    made: list[Path] = []

    def install(entry: str, code: str, *, distribution: str = "typedflow-crystals") -> None:
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        (site / "crystals.py").write_text("class Crystal:\n    pass\n")
        (site / "crystal_flow.py").write_text(textwrap.dedent(code))
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[typedflow.transformers]\n{entry}\n")
        if not made:
            monkeypatch.syspath_prepend(str(site))
        made.append(site)
        _forget()

    yield install
    _forget()


def _forget() -> None:
    from typedflow.type_engine import installed

    installed._offers.cache_clear()
    for name in ("crystals", "crystal_flow"):
        sys.modules.pop(name, None)


ENTRY = "crystals.Crystal = crystal_flow:Crystals"
PLUGIN = """
    import crystals, typedflow
    class Crystals(typedflow.Transformer[crystals.Crystal, str]):
        def encode(self, value): return "crystal"
        def decode(self, raw): return crystals.Crystal()
"""


def test_an_installed_distribution_brings_a_transformer(plugin) -> None:
    plugin(ENTRY, PLUGIN)
    crystals = importlib.import_module("crystals")
    engine = type_engine.standard()
    assert "crystal_flow" not in sys.modules
    converter = engine.converter(list[crystals.Crystal])  # type: ignore[name-defined]
    assert literal_types.text(converter.type) == "list[crystals.Crystal]"
    literal = converter.to_literal([crystals.Crystal()], "x", type_engine.NO_DATA)
    assert literals.to_json(literal) == ["crystal"]


def test_a_plugin_is_loaded_for_its_own_class_only(plugin) -> None:
    plugin(ENTRY, "raise RuntimeError('loaded')")
    with pytest.raises(errors.DefinitionError, match="is not a supported type"):
        type_engine.standard().converter(Molecule)
    assert "crystal_flow" not in sys.modules


def test_code_wins_over_a_plugin(plugin) -> None:
    plugin(ENTRY, "raise RuntimeError('loaded')")
    transformer = Nothing()
    transformer.python_type, transformer.representation = importlib.import_module("crystals").Crystal, int
    engine = _engine(transformer)
    assert engine.converter(transformer.python_type).type.custom.representation == literal_types.INT


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        (ENTRY, "raise RuntimeError('no')", r"can't be loaded: RuntimeError: no"),
        (ENTRY, "", r"can't be loaded: AttributeError"),
        (ENTRY, "Crystals = 1", r"can't be used: 1 is not a Transformer"),
        (ENTRY, PLUGIN.replace("crystals.Crystal, str", "bytearray, str"), r"is for bytearray"),
    ],
)
def test_a_broken_plugin_is_named(plugin, entry, code, message) -> None:
    plugin(entry, code)
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        type_engine.standard().converter(importlib.import_module("crystals").Crystal)
    assert "typedflow-crystals 1.2 (crystal_flow:Crystals)" in str(raised.value)
    assert raised.value.code == "UnsupportedType"


def test_two_plugins_for_one_class_are_both_named(plugin) -> None:
    plugin(ENTRY, PLUGIN)
    plugin(ENTRY, PLUGIN, distribution="typedflow-gems")
    with pytest.raises(
        errors.DefinitionError, match=r"typedflow-crystals 1\.2 and typedflow-gems 1\.2 each have"
    ):
        type_engine.standard().converter(importlib.import_module("crystals").Crystal)


# In programs


PROGRAM = """
    import typedflow
    from typedflow import Transformer, register_transformer, task, workflow

    @task
    def before() -> int:
        return 1

    class Molecule:
        def __init__(self, formula): self.formula = formula

    @register_transformer
    class ByFormula(Transformer[Molecule, str]):
        name = "chemistry.Molecule"
        def encode(self, value): return value.formula
        def decode(self, raw): return Molecule(raw)

    @task
    def make(n: int, of: Molecule = Molecule("H")) -> Molecule:
        return Molecule(of.formula + str(n))

    @task
    def read(molecules: list[Molecule]) -> str:
        return " ".join(each.formula for each in molecules)

    @workflow
    def flow(n: int) -> str:
        return read(molecules=[make(n=n), make(n=before(), of=Molecule("He"))])
"""


def test_tasks_take_and_give_values_of_the_type(tmp_path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM) + "print(flow(n=2), ByFormula.__name__)\n")
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("H2 He1 ByFormula\n", 0), done.stderr
