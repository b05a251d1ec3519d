"""Tables of numbers -> what is read: figures, printed tables, the report."""
