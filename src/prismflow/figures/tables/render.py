"""Print one table as TSV (numbers), Markdown, LaTeX and HTML (text)."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd

from prismflow.errors import InputError
from prismflow.files import write_text, write_tsv

NOT_AVAILABLE = "–"
_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "[": "{[}",
    "]": "{]}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": r"--",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "ρ": r"$\rho$",
    "κ": r"$\kappa$",
    "²": r"$^2$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
}


@dataclass(frozen=True)
class Block:
    """Rows under a common heading, e.g. one cell; ``bold`` holds (row, column) of entries."""

    heading: str
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Sheet:
    """The printed form of a table.

    ``align`` has one of l, c, r per column; ``notes`` are sentences printed below.
    """

    columns: tuple[str, ...]
    align: str
    blocks: tuple[Block, ...]
    caption: str
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        wrong = [
            row for block in self.blocks for row in block.rows if len(row) != len(self.columns)
        ]
        if wrong or len(self.align) != len(self.columns) or set(self.align) - set("lcr"):
            raise InputError(
                f"table sheet: expected {len(self.columns)} entries in the alignment and in every "
                f"row, found the alignment {self.align!r} and "
                f"{f'a row of {len(wrong[0])}' if wrong else 'rows that fit'}."
            )


def write(
    table: pd.DataFrame,
    sheet: Sheet,
    tsv_path: str | os.PathLike[str],
    md_path: str | os.PathLike[str],
    tex_path: str | os.PathLike[str],
    html_path: str | os.PathLike[str],
) -> None:
    """Write the numbers as TSV and the sheet as Markdown, LaTeX and HTML, each atomically."""
    write_tsv(table, tsv_path)
    write_sheet(sheet, {"md": md_path, "tex": tex_path, "html": html_path})


def write_sheet(sheet: Sheet, paths: Mapping[str, str | os.PathLike[str]]) -> None:
    """Write the sheet as Markdown, LaTeX and HTML (``md``, ``tex``, ``html``), each atomically."""
    write_text(markdown(sheet), paths["md"])
    write_text(latex(sheet), paths["tex"])
    write_text(html(sheet), paths["html"])


def spread(mean: float, sd: float, digits: int = 4) -> str:
    """``0.1789 ± 0.0041``; without sd the mean alone, without mean an en dash."""
    if mean is None or not math.isfinite(mean):
        return NOT_AVAILABLE
    text = number(mean, digits)
    return text if sd is None or not math.isfinite(sd) else f"{text} ± {number(sd, digits)}"


def number(value: float, digits: int = 4) -> str:
    """Fixed digits with a true minus sign; an en dash for NaN."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    return f"{value:.{digits}f}".replace("-", "−")


def interval(value: float, low: float, high: float, digits: int = 4) -> str:
    """``−0.0067 [−0.0120, −0.0014]``; without bounds the value alone, without value an en dash."""
    if not math.isfinite(value) or not (math.isfinite(low) and math.isfinite(high)):
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def p_value(value: float) -> str:
    """Two significant digits, nothing below 0.0001; an en dash for NaN."""
    if value is None or math.isnan(value):
        return NOT_AVAILABLE
    return "<0.0001" if value < 1e-4 else f"{value:.2g}" if value >= 1e-3 else f"{value:.4f}"


def ordered(models: Iterable[str], context: Mapping[str, Any]) -> list[str]:
    """Models in the one order of all tables, ``context["model_order"]``; unknown ones last."""
    order = {str(name): position for position, name in enumerate(context.get("model_order") or [])}
    return sorted(dict.fromkeys(map(str, models)), key=lambda name: order.get(name, len(order)))


def count(value: Any) -> str:
    """An integer with thousands separators; an en dash for NaN."""
    return NOT_AVAILABLE if pd.isna(value) else f"{int(value):,}"


def markdown(sheet: Sheet) -> str:
    """GitHub-flavoured Markdown: caption, one table per block under its heading, notes."""
    rule = {"l": ":---", "c": ":---:", "r": "---:"}
    lines = [f"**{_markdown_text(sheet.caption)}**", ""]
    for block in sheet.blocks:
        if block.heading:
            lines += [f"### {_markdown_text(block.heading)}", ""]
        lines.append("| " + " | ".join(_markdown_text(name) for name in sheet.columns) + " |")
        lines.append("| " + " | ".join(rule[side] for side in sheet.align) + " |")
        for texts in _texts(block, _markdown_text, "**{}**"):
            lines.append("| " + " | ".join(texts) + " |")
        lines.append("")
    for note in sheet.notes:
        lines += [_markdown_text(note), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px/1.45 system-ui, sans-serif; margin: 1.5em; color: #1a1a1a; }}
table {{ border-collapse: collapse; margin: 0 0 1.5em; }}
th, td {{ padding: 0.25em 0.8em; border-bottom: 1px solid #ddd; white-space: nowrap; }}
th {{ border-bottom: 2px solid #555; }}
.l {{ text-align: left; }} .c {{ text-align: center; }} .r {{ text-align: right; }}
p.note {{ color: #555; max-width: 60em; }}
</style></head><body>
<p><strong>{title}</strong></p>
{body}
</body></html>
"""


def html(sheet: Sheet) -> str:
    """A page of its own, for the report: a table per block, then the notes."""
    parts = []
    for block in sheet.blocks:
        if block.heading:
            parts.append(f"<h3>{escape(block.heading)}</h3>")
        rows = [_html_row("th", [escape(name) for name in sheet.columns], sheet.align)]
        texts = _texts(block, lambda value: escape(str(value)), "<b>{}</b>")
        rows += [_html_row("td", row, sheet.align) for row in texts]
        parts.append("<table>\n" + "\n".join(rows) + "\n</table>")
    parts += [f'<p class="note">{escape(note)}</p>' for note in sheet.notes]
    return _PAGE.format(title=escape(sheet.caption), body="\n".join(parts))


def _texts(block: Block, escaped: Callable[[str], str], bold: str) -> list[list[str]]:
    """Rows of a block as markup; ``bold`` has one place for an entry that is printed bold."""
    return [
        [
            bold.replace("{}", escaped(value)) if (i, j) in block.bold else escaped(value)
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(block.rows)
    ]


def _html_row(tag: str, values: Sequence[str], align: str) -> str:
    cells = [
        f'<{tag} class="{side}">{value}</{tag}>' for value, side in zip(values, align, strict=True)
    ]
    return "<tr>" + "".join(cells) + "</tr>"


def latex(sheet: Sheet) -> str:
    """A booktabs tabular with its notes as a second paragraph, to be \\input in a table float.

    Needs only ``\\usepackage{booktabs}``; the caption is a comment, because the float has its own.
    """
    width = len(sheet.columns)
    lines = [f"% {_comment(sheet.caption)}", "% needs: \\usepackage{booktabs}"]
    lines.append(f"\\begin{{tabular}}{{@{{}}{sheet.align}@{{}}}}")
    lines.append("\\toprule")
    lines.append(" & ".join(_tex_header(name) for name in sheet.columns) + r" \\")
    for block in sheet.blocks:
        lines.append("\\midrule")
        if block.heading:
            heading = escape_latex(block.heading)
            lines.append(f"\\multicolumn{{{width}}}{{@{{}}l}}{{\\textbf{{{heading}}}}} \\\\")
        rows = _texts(block, escape_latex, r"\textbf{{}}")
        lines += [" & ".join(row) + r" \\" for row in rows]
    lines += ["\\bottomrule", "\\end{tabular}"]
    if sheet.notes:
        notes = " ".join(escape_latex(note) for note in sheet.notes)
        lines += ["", f"\\par\\smallskip{{\\footnotesize {notes}\\par}}"]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Escape every character that LaTeX would read as markup; non-ASCII signs become macros."""
    return "".join(_TEX.get(character, character) for character in str(text))


def _tex_header(name: str) -> str:
    """Break a long header at its parenthesis into two stacked lines."""
    parts = re.split(r" (?=\()", name, maxsplit=1)
    if len(parts) == 1:
        return escape_latex(name)
    return (
        "\\begin{tabular}[b]{@{}c@{}}" + r"\\".join(escape_latex(part) for part in parts)
        + "\\end{tabular}"
    )  # fmt: skip


def _markdown_text(text: str) -> str:
    return re.sub(r"([\\|*_<>`])", r"\\\1", str(text)).replace("\n", " ")


def _comment(text: str) -> str:
    return " ".join(str(text).split())


def columns_with_values(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Those of ``columns`` that exist and are not all missing."""
    return [name for name in columns if name in table.columns and table[name].notna().any()]
