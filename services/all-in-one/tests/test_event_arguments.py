import pytest

from footfall.outcomes import UsageProblem
from footfall.sending import event_of


def test_only_what_was_said_is_sent() -> None:
    assert event_of("ada", "signed in", {"account": None, "time": None, "id": "e1"}, []) == {
        "user": "ada",
        "action": "signed in",
        "id": "e1",
    }


def test_values_that_read_as_json_are_that_and_the_rest_is_text() -> None:
    event = event_of(
        "ada", "paid", {}, ["seats=5", "trial=false", "plan=pro", "note=a=b", 'tags=["x"]', "empty="]
    )
    assert event["properties"] == {
        "seats": 5,
        "trial": False,
        "plan": "pro",
        "note": "a=b",
        "tags": ["x"],
        "empty": "",
    }


@pytest.mark.parametrize("pair", ["plan", "=pro"])
def test_what_is_no_pair_is_refused_with_an_example(pair: str) -> None:
    with pytest.raises(UsageProblem, match="NAME=VALUE, such as plan=pro"):
        event_of("ada", "paid", {}, [pair])
