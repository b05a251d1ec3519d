"""Printed tables, read back from the pages that `tables/render` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

#: Letters of a word from which on it may be broken: paths and digests, no words of a language.
LONG_WORD = 24
_SIDES = ("l", "c", "r")


@dataclass
class Cell:
    """One entry: its text, its side (l, c or r), whether it is printed bold."""

    text: str
    side: str = "l"
    bold: bool = False

    @property
    def breakable(self) -> bool:
        """Whether it has a word, such as a path, that must be broken to fit."""
        return any(len(word) > LONG_WORD for word in self.text.split())


@dataclass
class PrintedTable:
    """A heading, the names of the columns, rows of as many entries."""

    heading: str = ""
    columns: list[Cell] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)


@dataclass
class PrintedPage:
    """A caption, tables, and the sentences below them."""

    caption: str = ""
    tables: list[PrintedTable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = PrintedPage()
        self.heading = ""
        self.text: list[str] = []
        self.cell = Cell("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("th", "td", "h3", "p"):
            self.text = []
        if tag in ("th", "td"):
            side = dict(attrs).get("class") or "l"
            self.cell = Cell("", side if side in _SIDES else "l")
        elif tag == "b":
            self.cell.bold = True
        elif tag == "table":
            self.page.tables.append(PrintedTable(self.heading))
            self.heading = ""
        elif tag == "tr":
            self.page.tables[-1].rows.append([])

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        text = "".join(self.text).strip()
        if tag in ("th", "td"):
            self.cell.text = text
            table = self.page.tables[-1]
            (table.columns if tag == "th" else table.rows[-1]).append(self.cell)
        elif tag == "h3":
            self.heading = text
        elif tag == "p" and not self.page.tables:
            self.page.caption = text
        elif tag == "p":
            self.page.notes.append(text)


def read_printed(path: str | Path) -> PrintedPage:
    """A page of :func:`prismflow.figures.tables.render.html` as caption, tables and notes."""
    reader = _Reader()
    reader.feed(Path(path).read_text(encoding="utf-8"))
    reader.close()
    for table in reader.page.tables:
        table.rows = [row for row in table.rows if row]
    return reader.page


def of_frame(table: pd.DataFrame, heading: str = "") -> list[PrintedTable]:
    """A frame as a printed table, numbers to the right; none if it has no row."""
    if table.empty:
        return []
    sides = ["r" if pd.api.types.is_numeric_dtype(table[name]) else "l" for name in table.columns]
    columns = [Cell(str(name), side) for name, side in zip(table.columns, sides, strict=True)]
    rows = [_row(values, sides) for values in table.itertuples(index=False)]
    return [PrintedTable(heading, columns, rows)]


def _row(values: Sequence[object], sides: Sequence[str]) -> list[Cell]:
    return [Cell(_text(value), side) for value, side in zip(values, sides, strict=True)]


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:,.4g}"
    return "" if value is None else str(value)
