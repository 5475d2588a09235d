"""Types of the authors' own, through a server and its processes."""

import pytest

from typedflow import errors

CHEMISTRY = """
    from typing import Annotated
    from typedflow import File, Pickle, Transformer, register_transformer, task, workflow

    class Molecule:
        def __init__(self, formula):
            self.formula = formula

    @register_transformer
    class ByFile(Transformer[Molecule, File]):
        name = "chemistry.Molecule"
        def encode(self, value):
            path = self.new_folder() / "molecule.txt"
            path.write_text(value.formula)
            return File(path)
        def decode(self, raw):
            return Molecule(raw.path.read_text())

    class Model:
        def __init__(self, seen):
            self.seen = seen

    Pickled = Annotated[Model, Pickle]

    @task(cache=True)
    def make(formulas: list[str]) -> list[Molecule]:
        return [Molecule(each) for each in formulas]

    @task(cache=True)
    def fit(molecules: list[Molecule]) -> Pickled:
        return Model({each.formula for each in molecules})

    @task
    def predict(model: Pickled, formula: str) -> bool:
        return formula in model.seen

    @workflow
    def training(formulas: list[str], formula: str) -> bool:
        return predict(model=fit(molecules=make(formulas=formulas)), formula=formula)

    @workflow
    def serving(model: Pickled, formula: str) -> bool:
        return predict(model=model, formula=formula)
"""


def test_values_of_a_transformer_and_pickled_ones_travel_between_processes(author):
    author.register("chemistry", CHEMISTRY)
    assert author.outputs("chemistry.training", formulas=["H2O", "O2"], formula="O2").o0 is True
    assert author.outputs("chemistry.training", formulas=["H2O", "O2"], formula="N2").o0 is False


def test_s5_a_pickled_input_can_not_be_given_to_a_launch(author):
    author.register("chemistry", CHEMISTRY)
    with pytest.raises(errors.UsageError, match="pickled: it can't be given to a launch"):
        author.run("chemistry.serving", model={"uri": "file:///tmp/model.pickle"}, formula="O2")
