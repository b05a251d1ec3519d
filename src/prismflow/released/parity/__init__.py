"""Compare this package with numbers computed by the released code.

``python -m prismflow.released.parity DIR [DIR ...]`` takes folders of reference data,
builds what each of them describes, and compares every tensor. See ``docs/models.md``.
"""
