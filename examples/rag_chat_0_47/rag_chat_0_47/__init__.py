"""A small chat about a web page, written against the Python SDK of 2025 (`hatchet-sdk` 0.47.1)."""
