"""Every setting of every member is known to all, explained, documented and read by someone."""

import re

from lifecycle.known_settings import KNOWN
from lifecycle.settings import Settings
from reference_pages import (
    COMMAND,
    COMMANDS,
    SETTINGS_PAGE,
    render_settings,
    settings_classes,
    settings_fields,
    sources,
)


def test_every_member_knows_the_settings_of_all() -> None:
    assert {*settings_fields(), *COMMANDS} == KNOWN, f"run: {COMMAND}"


def test_every_setting_is_explained_in_a_sentence() -> None:
    unexplained = [
        name for name, (field, _) in settings_fields().items() if not (field.description or "").endswith(".")
    ]
    assert not unexplained, "give these fields a description that ends with a full stop"


def test_services_of_one_installation_agree_on_what_they_share() -> None:
    for service, kind in settings_classes().items():
        for name, field in kind.model_fields.items():
            for other in settings_classes().values():
                shared = other.model_fields.get(name)
                assert shared is None or shared.annotation == field.annotation, f"{service}: {name}"


def test_every_setting_is_read_somewhere() -> None:
    text = "\n".join(sources())
    kinds: list[type[Settings]] = [Settings, *settings_classes().values()]
    names = {name for kind in kinds for name in kind.model_fields}
    unread = sorted(name for name in names if not re.search(rf"(settings|self)\.{name}\b", text))
    assert not unread, "nobody reads these settings: remove them"


def test_the_page_is_what_the_code_says() -> None:
    assert SETTINGS_PAGE.read_text() == render_settings(), f"run: {COMMAND}"
