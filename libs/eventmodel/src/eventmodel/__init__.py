"""The canonical event, ids, rejections, wire form and partitioning: pure, no framework and no driver."""

from eventmodel.actions import fold_action
from eventmodel.event import ACTIVITY_KINDS, DEFAULT_ACTIONS, KINDS, Event, EventId, Kind, Origin, ProjectId
from eventmodel.ids import derived_event_id, identity_hash, new_event_id
from eventmodel.part import part
from eventmodel.rejection import RejectedRecord, Rejection
from eventmodel.sender import Sender

__all__ = [
    "ACTIVITY_KINDS",
    "DEFAULT_ACTIONS",
    "KINDS",
    "Event",
    "EventId",
    "Kind",
    "Origin",
    "ProjectId",
    "RejectedRecord",
    "Rejection",
    "Sender",
    "derived_event_id",
    "fold_action",
    "identity_hash",
    "new_event_id",
    "part",
]
