"""What pydantic finds wrong, as one line that a user can act on."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cvis.errors import UserError
from cvis.validation import did_you_mean, explain, validate


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = 1


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: list[Row] = []
    marks: dict[str, str] = {}
    order: int | list[int] = 1
    title: Row | None = None
    code: str = Field(default="a", pattern="^[a-z]$", description="give one small letter")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"row": 1}, "t.toml: row: 1: no such key; did you mean 'rows'?"),
        ({"x": 1}, "t.toml: x: 1: no such key; choose one of rows, marks, order, title, code"),
        (
            {"rows": [{"name": "a"}, {"name": "b", "siz": 2}]},
            "t.toml: rows.1.siz: 2: no such key; did you mean 'size'?",
        ),
        ({"rows": [{}]}, "t.toml: rows.0.name: missing; add it"),
        ({"rows": [5]}, "t.toml: rows.0: 5: not possible; it is a group of keys: name, size"),
        ({"marks": {"A": 5}}, "t.toml: marks.A: 5: not possible; it should be a valid string"),
        ({"title": {"name": "a", "siz": 2}}, "t.toml: title.siz: 2: no such key; did you mean 'size'?"),
        ({"title": 5}, "t.toml: title: 5: not possible; it is a group of keys: name, size"),
        ({"order": [1, "b"]}, "t.toml: order"),  # without pydantic's name for the member of the union
        ({"code": "A"}, "t.toml: code: 'A': not possible; give one small letter"),
        ({"code": "x" * 500}, f"t.toml: code: '{'x' * 59}: not possible; give one small letter"),
    ],
)
def test_a_mistake_is_one_line_with_place_value_and_remedy(values, line):
    with pytest.raises(UserError) as caught:
        validate(Table, values, "t.toml")
    assert str(caught.value).startswith(line)
    assert "int" not in str(caught.value).split(":")[1]
    assert "\n" not in str(caught.value)


def test_without_a_file_the_line_begins_with_the_field():
    with pytest.raises(UserError, match=r"^order: "):
        validate(Table, {"order": "x"})


def test_a_name_with_nothing_to_choose_from():
    assert did_you_mean("a", []) == "there is none"


@pytest.mark.parametrize(
    ("kind", "value", "line"),
    [
        (Literal["dot", "cosine"], "cosin", "matching: 'cosin': not possible; did you mean 'cosine'?"),
        (list[float], [0.5, "x"], "matching.1: 'x': not possible; it should be a valid number"),
        (int, "x", "matching: 'x': not possible; it should be a valid integer"),
    ],
)
def test_a_single_value_is_called_by_its_name(kind, value, line):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
    assert explain(caught.value, kind, "matching") == line
