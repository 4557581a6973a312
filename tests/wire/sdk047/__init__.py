"""The SDK of 2025 (`hatchet-sdk` 0.47.1) against this engine.

It lives in an environment of its own, so tests never import it. `worker.py` (with the workflows beside it) and
`caller.py` are programs for that environment; the tests start them and talk to them.
"""
