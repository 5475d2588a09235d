"""Pydantic models as records.

Fields travel under their own names, whatever their aliases are, and a model is made anew through its own validation.
Loaded by the first annotation that is a model. Must never let go of what a model holds beside its fields: extra values
and private attributes that would be lost are refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import pydantic  # noqa: TID253 - whoever loads this module has loaded it

from typedflow import errors, literal_types
from typedflow.type_engine import conversion, records
from typedflow.type_engine.conversion import Place

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def model_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of a model. Raises DefinitionError for one that is not complete, and for fields without a form."""
    name = annotation.__name__
    if annotation.__pydantic_root_model__:
        raise records.unsupported(f"`{name}` is a RootModel, which has no fields", "use the type of its root")
    if not annotation.__pydantic_complete__ and not annotation.model_rebuild(raise_errors=False):
        hint = "define the types that its fields name before it is used, at the top of the module"
        raise records.unsupported(f"the fields' types of `{name}` can't be read yet", hint)
    fields = annotation.model_fields
    annotations = {
        field: Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        for field, info in fields.items()
    }
    defaults = [field for field, info in fields.items() if not info.is_required()]
    return ModelConverter(annotation, records.converters(name, annotations, engine), defaults)


class ModelConverter(records.ClassConverter):
    """The instances of one model."""

    def __init__(
        self,
        cls: type[pydantic.BaseModel],
        fields: Mapping[str, conversion.Converter],
        defaults: Sequence[str],
    ) -> None:
        types = {field: converter.type for field, converter in fields.items()}
        super().__init__(cls, fields, literal_types.record(cls.__name__, types, defaults=defaults))
        self._row: Callable[[Any], Any] = operator.itemgetter(*fields) if fields else lambda _: ()

    def _check(self, value: Any, path: str) -> None:
        super()._check(value, path)
        absent = next((name for name in self.fields if name not in vars(value)), None)
        if absent is not None:
            message, hint = "this field has no value", "make the model through its validation"
            raise errors.ConversionError(message, where=f"{path}.{absent}", hint=hint)
        extra = value.__pydantic_extra__
        if extra:
            message = f"{self._class.__name__} has no field of this name, so its value would be lost"
            raise errors.ConversionError(
                message, where=path + conversion.field_step(next(iter(extra))), hint="make it a field"
            )
        private = value.__pydantic_private__
        if private:
            again = self._new(dict(vars(value)), lambda _: path, 0).__pydantic_private__
            lost = next((name for name in private if name not in again or private[name] != again[name]), None)
            if lost is not None:
                message = f"this private attribute of {self._class.__name__} would be lost"
                raise errors.ConversionError(message, where=f"{path}.{lost}", hint="make it a field")

    def _cells(self, values: Sequence[Any], place: Place) -> Sequence[Sequence[Any]]:
        for i, value in enumerate(values):
            if type(value) is not self._class or value.__pydantic_extra__ or value.__pydantic_private__:
                self._check(value, place(i))
        try:
            rows = [self._row(value.__dict__) for value in values]
        except KeyError:
            for i, value in enumerate(values):
                self._check(value, place(i))
            raise
        return [rows] if len(self.fields) == 1 else list(zip(*rows, strict=True))

    def _new(self, values: dict[str, Any], place: Place, i: int) -> Any:
        secret = literal_types.has_sensitive(self.type)
        try:
            return self._class.model_validate(values, by_name=True, by_alias=False)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            why = "" if secret else f": {first['msg']}"
            where = place(i) + "".join(map(_step, first["loc"]))
            told = errors.ConversionError(f"{self._class.__name__} refuses this value{why}", where=where)
        except Exception as error:  # noqa: BLE001 - the author's validators may raise anything
            told = self._refused(error, place(i))
        raise told  # outside of the handler: the error shows the value


def _step(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else conversion.field_step(part)
