"""What is Sensitive is in no message, whatever goes wrong with it."""

import dataclasses
import traceback
from typing import Annotated, Any, TypedDict

import pydantic
import pytest

from typedflow import errors, literal_types, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA
from typedflow.type_engine.sensitive import Sensitive

ENGINE = type_engine.standard()
SECRET = "hunter2"
Token = Annotated[str, Sensitive]


@dataclasses.dataclass
class Login:
    user: str
    password: Token

    def __post_init__(self) -> None:
        if self.user == "nobody":
            raise ValueError(f"nobody has the password {self.password}")


class Keys(TypedDict):
    key: Token


class Account(pydantic.BaseModel):
    password: Token

    @pydantic.field_validator("password")
    @classmethod
    def check(cls, value: str) -> str:
        if value == SECRET:
            raise ValueError(f"{value} is too short")
        return value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Annotated[int, Sensitive], SECRET),
        (Annotated[list[int], Sensitive], [1, SECRET]),
        (list[Annotated[int, Sensitive]], [1, SECRET]),
        (Annotated[dict[str, int], Sensitive], {SECRET: SECRET}),
        (dict[str, Annotated[int, Sensitive]], {"a": SECRET}),
        (Annotated[int | None, Sensitive], SECRET),
        (Annotated[int, Sensitive] | None, SECRET),
        (Annotated[int, Sensitive] | list[int], [SECRET]),
        (Login, {"user": "a", "password": SECRET}),
        (list[Login], [SECRET]),
        (Login | int, SECRET),
        (Login, Login("a", [SECRET])),  # type: ignore[arg-type]
        (Keys, {"key": [SECRET]}),
        (tuple[Annotated[int, Sensitive], int], (SECRET, 1)),
        (Annotated[Login, Sensitive], Login(1, SECRET)),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_s3_no_message_shows_a_secret(annotation: Any, value: Any) -> None:
    converter = ENGINE.converter(annotation)
    for convert in (
        lambda: converter.to_literal(value, "inputs.x", NO_DATA),
        lambda: converter.to_column([value], lambda i: f"inputs.x[{i}]", NO_DATA),
    ):
        with pytest.raises(errors.ConversionError) as caught:
            convert()
        assert caught.value.where.startswith("inputs.x")
        assert SECRET not in "".join(traceback.format_exception(caught.value)).replace(f'"{SECRET}"', "")
        assert SECRET not in str(caught.value)


def test_s3_what_a_class_says_of_a_secret_is_not_repeated() -> None:
    literal = ENGINE.converter(Login).to_literal(Login("somebody", SECRET), "x", NO_DATA)
    literal.record.fields[0].value.string = "nobody"
    model = literals_pb2.Literal()
    model.record.fields.add(name="password").value.string = SECRET
    for annotation, each in ((Login, literal), (Account, model)):
        with pytest.raises(errors.ConversionError) as caught:
            ENGINE.converter(annotation).from_literal(each, "inputs.x", NO_DATA)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_secret_travels_as_any_value_and_its_type_says_what_it_is() -> None:
    converter = ENGINE.converter(list[Annotated[int | str, Sensitive] | None])
    values = [1, "a", None]
    assert converter.from_literal(converter.to_literal(values, "x", NO_DATA), "x", NO_DATA) == values
    assert literal_types.text(ENGINE.converter(Token).type) == "Sensitive[str]"
    assert ENGINE.converter(Annotated[str, Sensitive(), "doc"]).type.sensitive
    assert [field.type.sensitive for field in ENGINE.converter(Account).type.record.fields] == [True]
