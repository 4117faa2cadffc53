"""The log's contract, blanking: a person's records keep their places and lose everything else, or nothing changes."""

from eventlog.port import Message, Person
from eventmodel import ProjectId
from eventmodel.wire import is_blank
from log_harness import LogHarness
from log_reading import read_all

ADA, BOB = b"p:u:ada", b"p:u:bob"


async def test_a_persons_records_are_blanked_in_place_where_single_records_can_be(
    harness: LogHarness,
) -> None:
    sent = [Message(key, b'{"id":"%d"}' % number) for number in range(6) for key in (ADA, BOB)]
    await harness.log.append(harness.topic, sent)
    before = await read_all(harness.log, harness.topic, 12)
    person = Person(ProjectId("p"), [ADA], "nothing like it")
    blanked = await harness.log.blank(person, lambda key, value: value != b'{"id":"5"}')
    after = await read_all(harness.log, harness.topic, 12)
    places = {(r.part, r.offset): r for r in after}
    assert places.keys() == {(r.part, r.offset) for r in before}
    if blanked is None:
        assert sorted(after) == sorted(before)
        return
    assert blanked == 5
    for record in before:
        now = places[record.part, record.offset]
        if record.key == ADA and record.value != b'{"id":"5"}':
            assert is_blank(now.key)
            assert now.value == b'{"id":"blank"}'
            assert now.recorded_at == record.recorded_at
        else:
            assert now == record


def test_only_the_key_of_a_blank_is_one() -> None:
    assert is_blank(b"p:x:")
    assert not is_blank(b"p:u:a:x:")
