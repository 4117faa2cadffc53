import pytest
from starlette.types import Receive, Scope, Send

from footfall.routing import ROUTES, Router


@pytest.fixture
def router() -> Router:
    return Router(dict.fromkeys(ROUTES, _unused))


async def _unused(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/events", "ingest-api"),
        ("/v1/events/", "ingest-api"),
        ("/v1/eventsource", "stream-gateway"),
        ("/v1/import", "ingest-api"),
        ("/v1/imports", "importer"),
        ("/v1/imports/r1/source", "importer"),
        ("/v1/hooks/totango", "importer"),
        ("/v1/projects", "stream-gateway"),
        ("/v1/projects/p1", "stream-gateway"),
        ("/v1/projects/p1/keys", "stream-gateway"),
        ("/v1/projects/p1/settings", "ingest-api"),
        ("/v1/projects/settings", "stream-gateway"),
        ("/track", "ingest-api"),
        ("/engage/", "ingest-api"),
        ("/groups", "ingest-api"),
        ("/import", "ingest-api"),
        ("/flags/definitions", "ingest-api"),
        ("/settings/", "ingest-api"),
        ("/decide", "ingest-api"),
        ("/record/", "ingest-api"),
        ("/e", "ingest-api"),
        ("/s", "ingest-api"),
        ("/a", "ingest-api"),
        ("/pixel.gif", "ingest-api"),
        ("/pixel.gif/", "ingest-api"),
        ("/sam/event/ios-app-open/", "ingest-api"),
        ("/sam/hit/autumn.gif", "ingest-api"),
        ("/compat/tapstream/sam/event/ios-app-open/", "ingest-api"),
        ("/sam/event", "stream-gateway"),
        ("/sam/event/", "stream-gateway"),
        ("/users/event", "stream-gateway"),
        ("/users/event/", "stream-gateway"),
        ("/users/event%2Fx", "stream-gateway"),
        ("/accounts/hit%2Fx.gif", "stream-gateway"),
        ("/v1/page", "ingest-api"),
        ("/v1/m", "ingest-api"),
        ("/v1/merge", "ingest-api"),
        ("/v1/pixel/track", "ingest-api"),
        ("/v1/projects/projects/ffw_k/settings", "ingest-api"),
        ("/v1/cloudevents", "ingest-api"),
        ("/compat/segment/v1/projects/ffw_k/settings", "ingest-api"),
        ("/analytics.js/v1/ffw_k/analytics.min.js", "ingest-api"),
        ("/beacon/v1/batch", "ingest-api"),
        ("/sourceConfig/", "ingest-api"),
        ("/array/ffw_k/config.js", "ingest-api"),
        ("/i/v1/analytics/events", "ingest-api"),
        ("/v1/actions/a1", "rule-engine"),
        ("/v1/in-app/messages", "rule-engine"),
        ("/v1/stream", "stream-gateway"),
        ("/pulse", "stream-gateway"),
        ("/accounts/acme", "stream-gateway"),
        ("/users/a%2Fb", "stream-gateway"),
        ("/visitors/v1", "stream-gateway"),
        ("/activity/e1", "stream-gateway"),
        ("/sources", "stream-gateway"),
        ("/actions", "stream-gateway"),
        ("/assets/0123/vendor/preact.js", "stream-gateway"),
        ("/t.gif", "ingest-api"),
        ("/js/footfall.js", "ingest-api"),
        ("/", "stream-gateway"),
        ("", "stream-gateway"),
        ("//v1/events", "stream-gateway"),
        ("/nowhere", "stream-gateway"),
        ("/v1/accounts/v1%2Fevents", "stream-gateway"),
        ("/v1/scores/a%2F..%2F..%2Fimports", "rule-engine"),
    ],
)
def test_a_path_goes_to_the_service_with_the_longest_match_of_whole_segments(
    router: Router, path: str, service: str
) -> None:
    assert router.service_for(path.encode()) == service


def test_a_named_segment_wins_over_any_segment_of_the_same_depth() -> None:
    routes = {"rest": ("/",), "named": ("/a/b",), "any": ("/a/*",), "deep": ("/a/*/c",)}
    router = Router(dict.fromkeys(routes, _unused), routes)
    found = [router.service_for(path) for path in (b"/a/b", b"/a/x", b"/a/b/c", b"/a/b/d", b"/x")]
    assert found == ["named", "any", "deep", "named", "rest"]


def test_two_services_cannot_own_one_path() -> None:
    with pytest.raises(ValueError, match="/a is answered by one and by two"):
        Router({}, {"one": ("/a",), "two": ("/a",)})


async def test_the_request_reaches_the_app_untouched() -> None:
    seen = []

    async def importer(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> dict[str, object]:
        return {}

    async def send(_: object) -> None:
        raise AssertionError

    scope = {"type": "http", "path": "/v1/imports/a/b", "raw_path": b"/v1/imports/a%2Fb"}
    await Router({**dict.fromkeys(ROUTES, _unused), "importer": importer})(scope, receive, send)
    assert seen == [scope]
