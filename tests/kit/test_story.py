"""A run in words: errors as their authors wrote them."""

from __future__ import annotations

from hatchet_sdk.exceptions import TaskRunError

from broadaxe.remote.story import error_line, error_text, event_line


def test_an_error_of_several_lines_is_told_as_it_was_raised() -> None:
    trace = 'Traceback (most recent call last):\n  File "shop.py", line 7, in charge\n    raise ValueError'
    raised = TaskRunError("no such order\nask again", "ValueError", trace, "0199b6a2-7c1e-7f00-8000-0123456789ab")
    told = raised.serialize(include_metadata=True)
    assert error_line(told) == "ValueError: no such order"
    assert error_text(told) == f"ValueError: no such order\nask again\n{trace}"
    event = {"timestamp": "t", "taskDisplayName": "charge", "eventType": "FAILED", "message": told}
    assert event_line(event) == 't  charge  FAILED  ValueError: no such order  (File "shop.py", line 7, in charge)'
    assert (error_line(None), error_text("")) == ("", "")
