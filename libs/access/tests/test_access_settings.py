import pytest

from access.errors import InvalidValue
from access.model import ProjectSettings
from access.project_settings import change_settings, decode_settings, encode_settings, is_trial_action


@pytest.mark.parametrize(
    "action",
    [
        "signed up",
        "Signed Up",
        "signed_up",
        "signed-up",
        "SignedUp",
        "  SIGNED  UP ",
        "Trial Started",
        "account_created",
    ],
)
def test_common_sign_ups_start_a_trial_however_they_are_written(action: str) -> None:
    assert is_trial_action(ProjectSettings(), action)


@pytest.mark.parametrize("action", ["signed up for newsletter", "signed in", "", "trial ended"])
def test_other_actions_start_no_trial(action: str) -> None:
    assert not is_trial_action(ProjectSettings(), action)


def test_a_project_names_its_own_trial_actions() -> None:
    settings = change_settings(ProjectSettings(), trial_actions=["  Workspace opened ", "Workspace opened"])
    assert settings.trial_actions == ("Workspace opened",)
    assert is_trial_action(settings, "workspace_opened")
    assert not is_trial_action(settings, "signed up")


def test_each_change_raises_the_version_and_no_change_does_not() -> None:
    first = ProjectSettings()
    second = change_settings(first, time_zone="Europe/Berlin")
    third = change_settings(second, trial_actions=[])
    assert (first.version, second.version, third.version) == (1, 2, 3)
    assert change_settings(third, time_zone="Europe/Berlin", trial_actions=[]) is third


@pytest.mark.parametrize(
    "zone",
    [
        "Mars/Olympus",
        "",
        "../etc/passwd",
        "America",
        "localtime",
        "posix/UTC",
        "europe/berlin",
        "a\0b",
        "\ud800",
        "/usr/share/zoneinfo/UTC",
    ],
)
def test_only_iana_zones_are_taken(zone: str) -> None:
    with pytest.raises(InvalidValue, match="IANA") as caught:
        change_settings(ProjectSettings(), time_zone=zone)
    assert caught.value.field == "time_zone"


@pytest.mark.parametrize(
    "actions", [[""], ["  "], ["-_"], ["a" * 201], ["a\0b"], ["\ud800"], [str(n) for n in range(101)]]
)
def test_trial_actions_are_bounded(actions: list[str]) -> None:
    with pytest.raises(InvalidValue) as caught:
        change_settings(ProjectSettings(), trial_actions=actions)
    assert caught.value.field == "trial_actions"


def test_settings_survive_storage_and_defaults_are_not_stored() -> None:
    settings = change_settings(ProjectSettings(), time_zone="Asia/Tokyo", trial_actions=["x"])
    assert decode_settings(encode_settings(settings), settings.version) == settings
    assert encode_settings(ProjectSettings()) == "{}"
    assert decode_settings(encode_settings(ProjectSettings(demo=True)), 1).demo
    assert decode_settings('{"from_a_newer_release": 1}', 4) == ProjectSettings(version=4)
