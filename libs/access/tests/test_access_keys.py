import pytest

from access.keys import digest, is_id, is_secret, kind_of, new_id, new_key, new_secret


def test_a_key_says_its_kind_and_holds_256_bits() -> None:
    write, secret = new_key("write"), new_key("secret")
    assert write.startswith("ffw_")
    assert secret.startswith("ffs_")
    assert len(write) == len(secret) == 47
    assert (kind_of(write), kind_of(secret)) == ("write", "secret")


@pytest.mark.parametrize(
    "text", ["", "ffw_", "ffx_" + "a" * 43, "ffw_" + "a" * 42, "ffw_" + "a" * 43 + "\n", "ffw_" + "é" * 43]
)
def test_what_is_not_shaped_like_a_key_has_no_kind(text: str) -> None:
    assert kind_of(text) is None


def test_ids_are_short_lower_case_and_tell_kinds_apart() -> None:
    project = new_id("project")
    assert len(project) == 12
    assert project == project.lower()
    assert is_id("project", project)
    assert not is_id("key", project)
    assert not is_id("project", project + "\0")
    assert len({new_id("project") for _ in range(1000)}) == 1000


def test_what_is_stored_does_not_hold_the_key() -> None:
    key = new_key("secret")
    assert len(digest(key)) == 32
    assert key.encode() not in digest(key)
    assert digest(key) == digest(key)


def test_secrets_fit_a_cookie_and_a_query() -> None:
    assert is_secret(new_secret())
    assert not is_secret(new_secret() + "=")
