"""Bytes to events or rejections: pure, no log and no framework; services/ingest-api/README.md says what it decides."""

from admission.admit import Admitted, Wire, admit, admit_event
from admission.body import inflate
from admission.refusal import BodyRefused
from admission.senders import named_in, sender_of

__all__ = ["Admitted", "BodyRefused", "Wire", "admit", "admit_event", "inflate", "named_in", "sender_of"]
