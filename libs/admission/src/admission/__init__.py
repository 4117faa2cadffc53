"""Bytes to events or rejections: pure, no log and no framework; services/ingest-api/README.md says what it decides."""

from admission.admit import admit, admit_event, admit_items
from admission.admitted import Admitted, Kept, Wire
from admission.body import inflate
from admission.refusal import BodyRefused, Fault
from admission.senders import is_browser, named_in, sender_of

__all__ = [
    "Admitted",
    "BodyRefused",
    "Fault",
    "Kept",
    "Wire",
    "admit",
    "admit_event",
    "admit_items",
    "inflate",
    "is_browser",
    "named_in",
    "sender_of",
]
