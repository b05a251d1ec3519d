"""Tables: one module per renderer; tables in, a numeric table and its printed form out.

A renderer has ``NEEDS``, ``build(data, experiment, context) -> DataFrame`` (numbers, what the TSV
holds) and ``sheet(table, experiment, context) -> render.Sheet`` (text, what Markdown, LaTeX and
HTML show). :func:`prismflow.figures.tables.render.write` writes all four.
"""
