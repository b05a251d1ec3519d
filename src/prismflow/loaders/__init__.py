"""Read what figures and tables need from result files; one module per kind of file.

Each has ``load(need, request, root)`` and is loaded by name (:mod:`prismflow.needs`), so that an
edit of one changes only the figures that need it.
"""
