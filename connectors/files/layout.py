"""Layouts: the shape of a file as data. One YAML file each, checked by `schema/layout.schema.json`.

Lengths and positions are bytes in the file's own encoding, positions 1-based, as Japanese specifications count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from connectors.files.charset import codec_name

__all__ = [
    "Column",
    "CsvLayout",
    "CsvTrailer",
    "FixedField",
    "FixedLayout",
    "Layout",
    "LayoutError",
    "RecordKind",
    "Titles",
    "layout_schema",
    "load_layout",
]


class LayoutError(ValueError):
    """A layout file is missing or wrong; the message names the file and the place in it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Titles(_Part):
    ja: str
    en: str


class Column(_Part):
    """One column of a CSV file.

    name        the key in the record
    header      its text in the header line, when that differs from the name
    aliases     other spellings met in the field (compared after NFKC and strip)
    kind        `code` columns are ids: typographic hyphens become "-", Excel damage is looked for
    optional    the column may be missing from a file
    required    an empty value is refused when a file is written
    max_bytes   longest value in bytes of the file's encoding; `overflow` says what happens to longer ones
    min_length  a shorter value has lost its leading zeros
    """

    name: Annotated[str, Field(min_length=1)]
    header: str | None = None
    aliases: tuple[str, ...] = ()
    kind: Literal["text", "code"] = "text"
    optional: bool = False
    required: bool = False
    max_bytes: Annotated[int, Field(gt=0)] | None = None
    overflow: Literal["refuse", "cut"] = "refuse"
    min_length: Annotated[int, Field(gt=0)] | None = None


class CsvTrailer(_Part):
    """A last row that counts the others: its first column is `marker`.

    count   1-based column that holds the number of data rows
    sums    1-based column of the trailer -> name of the column it is the total of
    """

    marker: Annotated[str, Field(min_length=1)]
    count: Annotated[int, Field(ge=2)] | None = None
    sums: dict[int, str] = Field(default_factory=dict)


class _Layout(_Part):
    layout: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    version: Annotated[int, Field(ge=1)] = 1
    title: Titles
    encoding: str = "cp932"
    substitute: str = "〓"
    gaiji: Literal["note", "fault"] = "note"
    on_wrong_trailer: Literal["report", "strict"] = "report"
    """`report`: all complete rows go on and the wrong trailer is shown. `strict`: no row of the file goes on."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        if value != "auto":
            codec_name(value)
        return value


class CsvLayout(_Layout):
    """A delimited file.

    quote           how values are written: all quoted, only where needed, never (then `forbidden` applies)
    older           widths of older, shorter versions of the layout (cut off on the right)
    extra_columns   columns the layout does not know: refuse the file, leave them out, or keep them in the record
    short_rows      rows with fewer columns than the header: a fault, or missing trailing blanks
    trailing_comma  rows end with one comma more than the header has. Off: such a row is a fault, because a comma that
                    was not quoted looks the same
    forbidden       text that must not stand in a value -> what stands there instead (written files)
    skip_lines      lines before the header (titles)
    together        columns that say which rows belong together, for files in which such rows may stand apart
    """

    format: Literal["csv"]
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Literal["minimal", "all", "never"] = "minimal"
    header: bool = True
    newline: Literal["crlf", "lf"] = "crlf"
    older: tuple[int, ...] = ()
    extra_columns: Literal["error", "ignore", "keep"] = "error"
    short_rows: Literal["fault", "pad"] = "fault"
    trailing_comma: bool = False
    forbidden: dict[str, str] = Field(default_factory=dict)
    skip_lines: Annotated[int, Field(ge=0)] = 0
    trailer: CsvTrailer | None = None
    together: tuple[str, ...] = ()

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"column names stand twice: {', '.join(twice)}; give them different names and a header"
            )
        wrong = [width for width in self.older if not 0 < width < len(names)]
        if wrong:
            raise ValueError(f"older: {wrong} is not shorter than the {len(names)} columns")
        if self.trailer is not None and not set(self.trailer.sums.values()) <= set(names):
            raise ValueError("trailer.sums names a column the layout does not have")
        if not set(self.together) <= set(names):
            raise ValueError("together names a column the layout does not have")
        return self

    @property
    def newline_text(self) -> str:
        return "\r\n" if self.newline == "crlf" else "\n"


class FixedField(_Part):
    """One field of a fixed-length record.

    start     1-based byte position, length in bytes
    kind      `text` left-aligned and filled with blanks; `kanji` full-width only, filled with 全角 blanks;
              `number` right-aligned and filled with zeros; `date` by `format`; `zengin` half-width 全銀 characters
              `filler` blanks nobody reads
    sign      where a number keeps its sign. `ebcdic`: the last digit is `{ABCDEFGHI` or `}JKLMNOPQR`;
              `ascii37`: negative last digit `p`..`y`; `ascii3b`: negative last digit in the range B0..B9
    decimals  implied decimal places (9(7)V99: 2)
    value     constant that is written
    """

    name: Annotated[str, Field(min_length=1)]
    start: Annotated[int, Field(ge=1)]
    length: Annotated[int, Field(ge=1)]
    kind: Literal["text", "kanji", "number", "date", "zengin", "filler"] = "text"
    sign: Literal["none", "leading", "trailing", "ebcdic", "ascii37", "ascii3b"] = "none"
    decimals: Annotated[int, Field(ge=0)] = 0
    format: str = "%Y%m%d"
    value: str | None = None
    overflow: Literal["refuse", "cut"] = "refuse"

    @property
    def stop(self) -> int:
        """0-based end in the record's bytes."""
        return self.start - 1 + self.length


class RecordKind(_Part):
    """One kind of record: what its kind bytes are, its role and fields.

    count   trailer field that holds the number of data records of the group
    sums    trailer field -> data field it is the total of
    """

    kind: Annotated[str, Field(min_length=1)]
    role: Literal["header", "data", "trailer", "end"]
    fields: tuple[FixedField, ...]
    count: str | None = None
    sums: dict[str, str] = Field(default_factory=dict)

    def field(self, name: str) -> FixedField:
        """Raises KeyError when there is no such field."""
        for item in self.fields:
            if item.name == name:
                return item
        raise KeyError(name)


class FixedLayout(_Layout):
    """A file of records of one length, with kind bytes that tell header, data, trailer and end apart.

    newline  what stands between records; when read, files with, without and with all but the last are recognised
    header_as  key under which a data record carries the fields of the header above it; not carried when null
    """

    format: Literal["fixed"]
    record_length: Annotated[int, Field(gt=0)]
    newline: Literal["crlf", "none"] = "crlf"
    kind_start: Annotated[int, Field(ge=1)] = 1
    kind_length: Annotated[int, Field(ge=1)] = 1
    header_as: str | None = None
    records: Annotated[tuple[RecordKind, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for record in self.records:
            at = 0
            for item in sorted(record.fields, key=lambda f: f.start):
                if item.start - 1 < at:
                    raise ValueError(f"record {record.kind}: field {item.name} overlaps the one before it")
                at = item.stop
            if at > self.record_length:
                raise ValueError(
                    f"record {record.kind}: its fields end at {at}, the record has {self.record_length}"
                )
            names = {f.name for f in record.fields}
            known = {f.name for r in self.records if r.role == "data" for f in r.fields}
            if (record.count is not None and record.count not in names) or not set(record.sums) <= names:
                raise ValueError(f"record {record.kind}: count or sums name a field it does not have")
            if not set(record.sums.values()) <= known:
                raise ValueError(f"record {record.kind}: sums name a data field that does not exist")
        if not any(record.role == "data" for record in self.records):
            raise ValueError("there is no data record")
        return self

    def of_role(self, role: str) -> RecordKind | None:
        """The first record kind of a role."""
        return next((record for record in self.records if record.role == role), None)


Layout = CsvLayout | FixedLayout
_ADAPTER: TypeAdapter[Layout] = TypeAdapter(Annotated[Layout, Field(discriminator="format")])


def layout_schema() -> dict[str, Any]:
    """JSON Schema of layout files, for editors."""
    schema = _ADAPTER.json_schema()
    columns = schema["$defs"]["CsvLayout"]["properties"]["columns"]
    columns["items"] = {"anyOf": [{"type": "string", "description": "the column's name"}, columns["items"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tsunagi file layout",
        "description": "The shape of a CSV or fixed-length file; see docs/file-exchange.md",
        **schema,
    }


@lru_cache(maxsize=256)
def _parse(path: Path, _modified: int) -> Layout:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        layout = _ADAPTER.validate_python(data)
    except yaml.YAMLError as error:
        raise LayoutError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'] if part not in ('csv', 'fixed'))}: {item['msg']}"
            for item in error.errors()
        )
        raise LayoutError(f"{path}: {places}") from error
    if layout.layout != path.stem:
        raise LayoutError(f"{path}: `layout: {layout.layout}` must be the file's name {path.stem!r}")
    return layout


def load_layout(name: str, folders: Sequence[Path]) -> Layout:
    """The layout `name` from the first folder that has it. Raises LayoutError.

    A changed file is read again at the next call.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
        raise LayoutError(f"a layout's name is lower-case letters, digits and _: {name!r}")
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _parse(path, path.stat().st_mtime_ns)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise LayoutError(f"no layout {name!r}; known: {', '.join(known)}")


def _write_schema() -> None:
    path = Path(__file__).parent / "schema" / "layout.schema.json"
    path.write_text(json.dumps(layout_schema(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write_schema()
