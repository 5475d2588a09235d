"""Pydantic models: validated anew, under their fields' names, and nothing that they hold is lost."""

from typing import Annotated, Any, Generic, Literal, TypeVar

import pydantic
import pytest

from typedflow import errors, literal_types, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA

ENGINE = type_engine.standard()
T = TypeVar("T")


class Layer(pydantic.BaseModel):
    width: Annotated[int, pydantic.Field(gt=0)]
    rates: list[float] = []


class Config(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=str.upper, frozen=True)

    layers: list[Layer]
    best: Layer | None = pydantic.Field(None, alias="theBest")
    scale: pydantic.PositiveFloat = 1.0

    @pydantic.computed_field
    def depth(self) -> int:
        return len(self.layers)

    @pydantic.model_validator(mode="after")
    def check(self) -> "Config":
        if self.scale == 13.0:
            raise ValueError("13 is unlucky")
        return self


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Home(pydantic.BaseModel):
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    name: str


class Counting(pydantic.BaseModel):
    n: int
    _double: int = pydantic.PrivateAttr(0)

    def model_post_init(self, _context: Any, /) -> None:
        self._double = 2 * self.n


class Holder(pydantic.BaseModel, Generic[T]):
    item: T


class Root(pydantic.RootModel[list[int]]):
    pass


class Late(pydantic.BaseModel):
    other: "Missing"  # type: ignore[name-defined]  # noqa: F821


class Bare(pydantic.BaseModel):
    pass


def there_and_back(annotation: Any, value: Any) -> Any:
    converter = ENGINE.converter(annotation)
    literal = converter.to_literal(value, "inputs.x", NO_DATA)
    sent = literals_pb2.Literal.FromString(literal.SerializeToString())
    return converter.from_literal(sent, "inputs.x", NO_DATA)


CONFIG = Config.model_validate(
    {"LAYERS": [{"width": 1}, {"width": 2, "rates": [0.5]}], "theBest": {"width": 3}}
)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Config, CONFIG),
        (list[Config], [CONFIG, CONFIG]),
        (Home, Home(pet=Dog(tricks=["sit"]))),
        (Cat | Dog, Dog(tricks=[])),
        (Open, Open(name="x")),
        (list[Counting], [Counting(n=2), Counting(n=3)]),
        (Holder[int], Holder[int](item=1)),
        (list[Bare], [Bare(), Bare()]),
        (list[Layer | None], [None, Layer(width=1)]),
    ],
    ids=str,
)
def test_t2_a_model_comes_back_as_it_was(annotation: Any, value: Any) -> None:
    back = there_and_back(annotation, value)
    assert back == value
    assert type(back) is type(value)


def test_what_a_validator_refuses_is_told_with_the_path() -> None:
    converter = ENGINE.converter(list[Config])
    literal = converter.to_literal([CONFIG, CONFIG], "x", NO_DATA)
    columns = {each.name: each.values for each in literal.list.records.columns}
    columns["scale"].floats.values[1] = -1.0
    with pytest.raises(errors.ConversionError) as caught:
        converter.from_literal(literal, "inputs.x", NO_DATA)
    assert caught.value.where == "inputs.x[1].scale"
    assert "greater than 0" in caught.value.message
    columns["scale"].floats.values[1] = 13.0
    with pytest.raises(errors.ConversionError, match=r"inputs.x\[1\]: Config refuses .*13 is unlucky"):
        converter.from_literal(literal, "inputs.x", NO_DATA)


def test_what_a_model_holds_beside_its_fields_is_not_lost_in_silence() -> None:
    counting = Counting(n=2)
    counting._double = 5
    for annotation, value, where in (
        (Open, Open.model_validate({"name": "x", "a b": 1}), 'inputs.x["a b"]'),
        (Counting, counting, "inputs.x._double"),
        (Layer, Layer.model_construct(), "inputs.x.width"),
    ):
        with pytest.raises(errors.ConversionError) as caught:
            ENGINE.converter(annotation).to_literal(value, "inputs.x", NO_DATA)
        assert caught.value.where == where


def test_a_wrong_part_is_told_with_its_path() -> None:
    wrong = Config.model_construct(
        layers=[Layer.model_construct(width="wide", rates=[])], best=None, scale=1.0
    )
    with pytest.raises(errors.ConversionError) as caught:
        ENGINE.converter(Config).to_literal(wrong, "inputs.x", NO_DATA)
    assert caught.value.where == "inputs.x.layers[0].width"
    with pytest.raises(errors.ConversionError, match=r"write Layer\(\*\*"):
        ENGINE.converter(Layer).to_literal({"width": 1}, "inputs.x", NO_DATA)


def test_t3_models_that_could_not_come_back_are_refused_at_definition() -> None:
    for annotation, words in ((Root, "RootModel"), (Late, "can't be read yet"), (Holder, "`Holder.item`")):
        with pytest.raises(errors.DefinitionError, match=words) as caught:
            ENGINE.converter(annotation)
        assert caught.value.hint


def test_a_models_type_has_its_fields_names_and_says_which_have_defaults() -> None:
    of = ENGINE.converter(Config).type
    assert literal_types.text(of) == "Config"
    assert [(each.name, each.has_default) for each in of.record.fields] == [
        ("layers", False),
        ("best", True),
        ("scale", True),
    ]
