"""Reading and writing an interface's files in its layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from connectors.contract import Fault, Misconfigured, Record
from connectors.file_exchange.config import FileExchangeConfig
from connectors.files.charset import Finding, Replacements, default_replacements, load_replacements
from connectors.files.csv_codec import read_csv
from connectors.files.csv_sheet import CsvSheet, open_sheet
from connectors.files.csv_writer import CsvWriter
from connectors.files.fixed_length import read_fixed
from connectors.files.fixed_writer import FixedWriter
from connectors.files.layout import CsvLayout, Layout, LayoutError, load_layout
from connectors.files.together import bring_together

__all__ = ["Writer", "decode", "layout_of", "looks_complete", "read_records", "sheet", "writer_for"]

SHIPPED = Path(__file__).parent / "layouts"
_ENDINGS = frozenset({"no_trailer", "trailer_count", "trailer_sum", "cut_file"})


def layout_of(config: FileExchangeConfig, name: str) -> Layout:
    """A layout from the partner's own folders or the shipped ones. Raises Misconfigured."""
    try:
        return load_layout(name, [*config.layouts, SHIPPED])
    except LayoutError as error:
        raise Misconfigured(str(error)) from error


def decode(
    stream: IO[bytes], config: FileExchangeConfig, params: Mapping[str, Any]
) -> Iterator[Record | Fault]:
    """Rows of a stored file by the layout of the flow's interface. Pure: it runs again at every replay."""
    interface = config.incoming(params)
    layout = layout_of(config, interface.layout)
    return _read(stream, layout, empty_is_error=interface.empty == "error", gaiji=_gaiji(config))


def sheet(stream: IO[bytes], config: FileExchangeConfig, params: Mapping[str, Any]) -> CsvSheet | None:
    """A stored CSV file told apart into runs of rows; None where it must be decoded as a whole."""
    layout = layout_of(config, config.incoming(params).layout)
    return open_sheet(stream, layout, _gaiji(config)) if isinstance(layout, CsvLayout) else None


def read_records(stream: IO[bytes], layout: str, *, layouts: Sequence[Path] = ()) -> Iterator[Record | Fault]:
    """Rows of a file by the name of a layout, shipped or in one of the folders `layouts`. Raises Misconfigured."""
    try:
        return _read(stream, load_layout(layout, [*layouts, SHIPPED]))
    except LayoutError as error:
        raise Misconfigured(str(error)) from error


def _read(
    stream: IO[bytes], layout: Layout, *, empty_is_error: bool = False, gaiji: Mapping[str, str] | None = None
) -> Iterator[Record | Fault]:
    if not isinstance(layout, CsvLayout):
        return read_fixed(stream, layout, empty_is_error=empty_is_error)
    rows = read_csv(stream, layout, empty_is_error=empty_is_error, gaiji=gaiji)
    return bring_together(rows, layout.together) if layout.together else rows


def _table(path: Path) -> Replacements:
    try:
        return load_replacements(path)
    except (OSError, ValueError) as error:
        raise Misconfigured(f"table of characters {path}: {error}") from error


def _gaiji(config: FileExchangeConfig) -> Mapping[str, str]:
    if config.gaiji is None:
        return {}
    table = _table(config.gaiji)
    return {**table.fallback, **table.always}


def looks_complete(stream: IO[bytes], layout: Layout) -> bool:
    """Whether the file ends with a trailer that agrees; reads it all and puts the stream back to its start."""
    items = read_csv(stream, layout) if isinstance(layout, CsvLayout) else read_fixed(stream, layout)
    whole = not any(isinstance(item, Fault) and item.code in _ENDINGS for item in items)
    stream.seek(0)
    return whole


class Writer:
    """A layout's writer with one face for CSV and fixed length."""

    def __init__(self, layout: Layout, replacements: Replacements) -> None:
        self._layout = layout
        self._csv = CsvWriter(layout, replacements) if isinstance(layout, CsvLayout) else None
        self._fixed = None if isinstance(layout, CsvLayout) else FixedWriter(layout, replacements)

    def row(self, record: Mapping[str, Any], number: int) -> tuple[bytes, tuple[Finding, ...]]:
        """One row's bytes and what was changed in it. Raises RowRefused."""
        if self._csv is not None:
            return self._csv.row(record, number)
        assert self._fixed is not None
        return self._fixed.row(record, number)

    def file(self, encoded: Iterable[bytes], rows: Sequence[Mapping[str, Any]]) -> bytes:
        """The whole file around rows that `row` made, with header and trailer."""
        if self._csv is not None:
            return b"".join((self._csv.header(), *encoded, self._csv.trailer(rows)))
        assert self._fixed is not None and not isinstance(self._layout, CsvLayout)  # noqa: PT018
        head = rows[0].get(self._layout.header_as, {}) if rows and self._layout.header_as else {}
        return b"".join((self._fixed.header(head), *encoded, self._fixed.trailer(rows), self._fixed.end()))


def writer_for(config: FileExchangeConfig, layout_name: str) -> Writer:
    """The writer of a layout with the partner's table of characters."""
    table = default_replacements()
    if config.replacements is not None:
        table = _table(config.replacements).over(table)
    return Writer(layout_of(config, layout_name), table)
