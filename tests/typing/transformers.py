"""Transformers as type checkers see them: what is encoded and decoded is what the class says."""

from typing import Annotated, assert_type

from typedflow import File, Pickle, Transformer, register_transformer, task


class Molecule:
    def __init__(self, formula: str) -> None:
        self.formula = formula


@register_transformer
class ByFormula(Transformer[Molecule, str]):
    name = "chemistry.Molecule"
    subclasses = True

    def encode(self, value: Molecule) -> str:
        return value.formula

    def decode(self, raw: str) -> Molecule:
        return Molecule(raw)


class ByFile(Transformer[Molecule, list[File]]):
    def encode(self, value: Molecule) -> list[File]:
        path = self.new_folder() / "molecule"
        path.write_text(value.formula)
        return [File(path)]

    def decode(self, raw: list[File]) -> Molecule:
        return Molecule(raw[0].path.read_text())


class Wrong(Transformer[Molecule, str]):
    def encode(self, value: Molecule) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return len(value.formula)

    def decode(self, raw: bytes) -> Molecule:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return Molecule(raw.decode())


assert_type(register_transformer(ByFile()), ByFile)
assert_type(ByFormula().encode(Molecule("H2O")), str)
register_transformer(Molecule)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


@task
def make(model: Annotated[Molecule, Pickle]) -> list[Molecule]:
    return [model]
