"""A page that was made for Totango's script, with ours in its place."""

import asyncio

from sdk_stand import ARRIVE_S, SdkStand

_OPTIONS = """{
    service_id: "KEY",
    user: {id: "ada@acme.example", name: "Ada"},
    account: {id: "acme", account_name: "Acme", Status: "Paying"},
    module: "App"
}"""


def _page(sdks: SdkStand, calls: str, options: str = _OPTIONS) -> str:
    given = options.replace("KEY", sdks.key)
    return (
        f"<script>window.totango_options = {given};</script>"
        f'<script src="{sdks.url}/js/totango.js"></script><script>{calls}</script>'
    )


async def test_a_page_made_for_totango_tells_of_account_user_and_activity(sdks: SdkStand) -> None:
    calls = """
    totango.track("Login");
    totango.track("Login");
    totango.track("Opened Report", "Reports", "globex", "bob");
    totango.setAccountAttributes({"Contract Value": 1200});
    totango.setUserAttributes({Contact: "yes"});
    totango.identify({user: {id: "eve", name: "Eve"}});
    """
    async with sdks.page(_page(sdks, calls)) as site:
        # Said at once: both known; then 3 activities, 2 attributes, and both again for the other user.
        events = await sdks.events(9)
        assert site.errors == []
    assert len(events) == len({(event.user, event.account, event.id) for event in events}) == 9
    tracks = [event for event in events if event.kind == "track"]
    assert [(event.user, event.account, event.action, event.properties) for event in tracks] == [
        ("ada@acme.example", "acme", "Login", {"module": "App"}),
        ("ada@acme.example", "acme", "Login", {"module": "App"}),
        ("bob", "globex", "Opened Report", {"module": "Reports"}),
    ]
    assert {event.context["page"]["url"] for event in events} == {f"{site.origin}/reports?ref=mail"}
    groups = [event.traits for event in events if event.kind == "group"]
    assert groups == [{"name": "Acme", "Status": "Paying"}, {"Contract Value": "1200"}, groups[0]]
    people = [(event.user, event.traits) for event in events if event.kind == "identify"]
    assert people == [
        ("ada@acme.example", {"name": "Ada"}),
        ("ada@acme.example", {"Contact": "yes"}),
        ("eve", {"name": "Eve"}),
    ]


async def test_what_could_not_be_stored_is_sent_again_as_the_same(sdks: SdkStand) -> None:
    sdks.unconfirmed(times=2)
    older = '{service_id: "KEY", username: "ada", organization: "acme"}'
    async with sdks.page(_page(sdks, "", older)) as site:
        async with asyncio.timeout(ARRIVE_S):
            while 200 not in [answer.status for answer in sdks.answered if answer.path == "/pixel.gif"]:
                await asyncio.sleep(0.05)
        events = await sdks.events(3)
        assert site.errors == []
    assert len(events) == 3
    assert {(event.kind, event.user, event.account) for event in events} == {("identify", "ada", "acme")}
    assert len({event.id for event in events}) == 1
