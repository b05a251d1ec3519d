"""Bring files from public portals: an HTTP client that survives, metadata, archives.

Planning imports :mod:`prismflow.portals.references` only; nothing there opens the network.
"""
