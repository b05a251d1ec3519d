"""Bring files from public portals: an HTTP client that survives, metadata, archives.

Planning imports :mod:`prismflow.settings.shared_files` only; nothing there opens the network.
"""
