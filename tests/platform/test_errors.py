"""The error tree: what callers rely on is that codes are stable and messages speak for themselves."""

from __future__ import annotations

import pickle

import pytest

from broadaxe.errors import (
    BroadaxeError,
    FailedPrecondition,
    InvalidArgument,
    LeaseLost,
    NotFound,
    Unavailable,
    all_error_types,
)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in all_error_types()]
    assert len(set(codes)) == len(codes)
    assert BroadaxeError.code not in codes


@pytest.mark.parametrize("error", all_error_types())
def test_without_a_message_the_docstring_speaks(error: type[BroadaxeError]) -> None:
    assert error.__doc__ is not None
    assert str(error()) == " ".join(error.__doc__.split())


def test_field_is_named_unless_the_message_names_it_already() -> None:
    assert str(InvalidArgument("must not be empty", field="name")) == "name: must not be empty"
    assert str(InvalidArgument("name must not be empty", field="name")) == "name must not be empty"


def test_errors_cross_processes_whole() -> None:
    copy = pickle.loads(pickle.dumps(NotFound("no such run", field="run_id")))
    assert isinstance(copy, NotFound)
    assert (copy.message, copy.field) == ("no such run", "run_id")


def test_a_lost_lease_may_be_retried_and_a_wrong_state_may_not() -> None:
    assert issubclass(LeaseLost, Unavailable)
    assert LeaseLost.retryable
    assert not FailedPrecondition.retryable
