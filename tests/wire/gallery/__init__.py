"""The workflows of the wire tests, and the worker that offers them (`python -m gallery`)."""
