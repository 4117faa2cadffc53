# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, embedsignature=False
"""Ordinary events to the bytes of their records, in one pass over the body.

Whatever is not surely ordinary is doubted, and one doubt makes the whole body None: functions that read answer
False for a doubt, and those without the interpreter (`nogil`) cannot raise. Only `_byte` and `_same` look at the body, only `_copied` and `_write` touch the text, and each
of them checks where it does.
"""

from os import urandom
from time import time_ns

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove, memset, strlen

cimport cython

cdef enum:
    MAX_KEYS = 64  # of one object: each is compared with all others
    MAX_OPEN_KEYS = 256  # of an object and all that it stands in
    MAX_INT_DIGITS = 18
    MAX_FLOAT_DIGITS = 17
    MAX_TIME_CHARS = 40
    MAX_YEAR = 2999
    RANDOM_BYTES = 10  # of one id
    MAX_IDS_AHEAD = 256
    EVENTS_AT_A_STRETCH = 256

cdef enum:
    ACCOUNT, ACTION, ANONYMOUS_ID, CONTEXT, ID, PREVIOUS_ID, PROPERTIES, SENT_AT, TIME, TRAITS, TYPE, USER
    FIELDS

cdef enum:
    TRACK, IDENTIFY, GROUP, PAGE, SCREEN, ALIAS

cdef tuple KINDS = (b"track", b"identify", b"group", b"page", b"screen", b"alias")

cdef struct Span:
    # An end of 0 is that of nothing.
    Py_ssize_t start
    Py_ssize_t end


@cython.final
cdef class Reader:
    cdef Py_ssize_t max_events, max_event_bytes, max_id_chars, max_action_chars, longest_placeholder
    cdef int max_depth
    cdef frozenset placeholders
    # By their first character; bit n stands for n characters.
    cdef unsigned long long placeholder_lengths[128]
    cdef list default_actions
    cdef long long max_ahead_us, min_skew_us, max_skew_us

    def __init__(
        self, *, max_events, max_event_bytes, max_depth, max_id_chars, max_action_chars, placeholders,
        default_actions, max_ahead_us, min_skew_us, max_skew_us,
    ):
        self.max_events = max_events
        self.max_event_bytes = max_event_bytes
        self.max_depth = max_depth
        self.max_id_chars = max_id_chars
        self.max_action_chars = max_action_chars
        self.placeholders = frozenset(text.encode("ascii") for text in placeholders)
        self.longest_placeholder = max(map(len, self.placeholders))
        if self.longest_placeholder > 63:
            raise ValueError("A placeholder has at most 63 characters.")
        for first in range(128):
            lengths = {len(text) for text in self.placeholders if text[0] == first}
            self.placeholder_lengths[first] = sum(1 << length for length in lengths)
        self.default_actions = [default_actions.get(kind.decode(), "").encode("ascii") for kind in KINDS]
        self.max_ahead_us = max_ahead_us
        self.min_skew_us = min_skew_us
        self.max_skew_us = max_skew_us

    def read(
        self, bytes body not None, *, bytes project not None, bytes received_at not None, long long received_us,
        bytes sender not None,
    ):
        cdef _Pass reading = _Pass.__new__(_Pass)
        reading.rules = self
        reading.body = body
        reading.bytes = <const unsigned char*> PyBytes_AS_STRING(body)
        reading.size = PyBytes_GET_SIZE(body)
        reading.project = project
        reading.received_at = received_at
        reading.received_us = received_us
        reading.sender = sender
        return reading.records()


@cython.final
cdef class _Pass:
    """One body on its way. `text` begins with the event's objects; its record and key are written behind them."""

    cdef Reader rules
    cdef bytes body, project, received_at, sender, random
    cdef const unsigned char* bytes
    cdef Py_ssize_t size, at, room, written, random_used
    cdef unsigned char* text
    cdef bint full
    cdef long long received_us
    cdef Span keys[MAX_OPEN_KEYS]
    cdef int open_keys

    def __dealloc__(self):
        free(self.text)

    # The body: an array of events, or events on lines.

    cdef list records(self):
        cdef list found = []
        cdef bint lines = self._byte(0) == b"{"
        cdef Py_ssize_t before
        if not lines:
            self._space()
            if not self._take(b"["):
                return None
        while True:
            before = self.at
            self._space()
            if self._byte(self.at) != b"{" or len(found) == self.rules.max_events or not self._event(found):
                return None
            if lines and not self._line_end():
                return None
            self._space()
            # Space around an event may be counted in.
            if self.at - before > self.rules.max_event_bytes:
                return None
            if lines:
                if self.at == self.size:
                    return found
            elif self._take(b"]"):
                self._space()
                return found if self.at == self.size else None
            elif not self._take(b","):
                return None
            if len(found) % EVENTS_AT_A_STRETCH == 0:
                # Large bodies are read in a thread, and others wait for the interpreter.
                with nogil:
                    pass

    cdef bint _line_end(self) noexcept nogil:
        cdef unsigned char byte
        while self.at < self.size:
            byte = self._byte(self.at)
            if byte == b"\n":
                return True
            if byte != b" " and byte != b"\t" and byte != b"\r":
                return False
            self.at += 1
        return True

    # An event.

    cdef bint _event(self, list found) except -1:
        cdef Span given[FIELDS]
        cdef Span name
        cdef int field, seen = 0
        cdef Py_ssize_t start
        memset(given, 0, sizeof(given))
        self.written = 0
        self.at += 1
        while True:
            self._space()
            if not self._plain_string(&name):
                return False
            field = self._field(name)
            if field < 0 or seen & (1 << field):
                return False
            seen |= 1 << field
            self._space()
            if not self._take(b":"):
                return False
            self._space()
            if self._byte(self.at) == b"n":
                if not self._literal(b"null"):
                    return False
            elif field == PROPERTIES or field == TRAITS or field == CONTEXT:
                start = self.written
                if self._byte(self.at) != b"{" or not self._object(2, field == CONTEXT):
                    return False
                if self.written - start > 2:
                    given[field].start = start
                    given[field].end = self.written
            elif not self._plain_string(&given[field]):
                return False
            self._space()
            if self._take(b"}"):
                return self._record(given, found)
            if not self._take(b","):
                return False

    cdef int _field(self, Span name) noexcept nogil:
        cdef Py_ssize_t length = name.end - name.start
        if length == 2:
            return ID if self._same(name, b"id") else -1
        if length == 4:
            if self._same(name, b"user"):
                return USER
            if self._same(name, b"time"):
                return TIME
            return TYPE if self._same(name, b"type") else -1
        if length == 6:
            if self._same(name, b"action"):
                return ACTION
            return TRAITS if self._same(name, b"traits") else -1
        if length == 7:
            if self._same(name, b"account"):
                return ACCOUNT
            if self._same(name, b"context"):
                return CONTEXT
            return SENT_AT if self._same(name, b"sent_at") else -1
        if self._same(name, b"properties"):
            return PROPERTIES
        if self._same(name, b"anonymous_id"):
            return ANONYMOUS_ID
        return PREVIOUS_ID if self._same(name, b"previous_id") else -1

    cdef bint _record(self, Span* given, list found) except -1:
        cdef int kind = self._kind(given[TYPE])
        cdef long long occurred_us = self.received_us, sent_us = 0, skew_us = 0
        cdef bint corrected = False, clamped = False
        cdef Py_ssize_t start, id_start
        cdef bytes id
        if kind < 0 or not self._is_sound(kind, given):
            return False
        if given[SENT_AT].end:
            sent_us = self._moment(given[SENT_AT])
            if sent_us < 0:
                return False
        if given[TIME].end:
            occurred_us = self._moment(given[TIME])
            if occurred_us < 0:
                return False
            if given[SENT_AT].end and occurred_us <= sent_us + self.rules.min_skew_us:
                skew_us = self.received_us - sent_us
                if self.rules.min_skew_us <= abs(skew_us) <= self.rules.max_skew_us:
                    occurred_us += skew_us
                    corrected = True
            if occurred_us - self.received_us > self.rules.max_ahead_us:
                clamped = True

        start = self.written
        self._write(b'{"id":"')
        id_start = self.written
        if given[ID].end:
            self._copy(given[ID])
        elif not self._new_id():
            return False
        self._write(b'","project":"')
        self._write_bytes(self.project)
        self._write(b'","type":"')
        self._write_bytes(KINDS[kind])
        self._write(b'","action":"')
        if given[ACTION].end:
            self._copy(given[ACTION])
        else:
            self._write_bytes(self.rules.default_actions[kind])
        self._write(b'","occurred_at":')
        if clamped or not given[TIME].end:
            self._write_bytes(self.received_at)
        elif not self._time(occurred_us):
            return False
        self._write(b',"received_at":')
        self._write_bytes(self.received_at)
        self._write(b',"origin":"live"')
        self._text(b',"user":"', given[USER])
        self._text(b',"anonymous_id":"', given[ANONYMOUS_ID])
        self._text(b',"previous_id":"', given[PREVIOUS_ID])
        self._text(b',"account":"', given[ACCOUNT])
        if given[SENT_AT].end:
            self._write(b',"sent_at":')
            if not self._time(sent_us):
                return False
        self._again(b',"properties":', given[PROPERTIES])
        self._again(b',"traits":', given[TRAITS])
        self._again(b',"context":', given[CONTEXT])
        if corrected and clamped:
            self._write(b',"marks":["skew_corrected","clamped"]')
        elif corrected:
            self._write(b',"marks":["skew_corrected"]')
        elif clamped:
            self._write(b',"marks":["clamped"]')
        if PyBytes_GET_SIZE(self.sender):
            self._write(b',"sender":')
            self._write_bytes(self.sender)
        self._write(b"}")
        value = self._bytes_from(start)

        start = self.written
        self._write_bytes(self.project)
        if given[USER].end:
            self._write(b":u:")
            self._copy(given[USER])
        elif given[ANONYMOUS_ID].end:
            self._write(b":a:")
            self._copy(given[ANONYMOUS_ID])
        elif given[ACCOUNT].end:
            self._write(b":g:")
            self._copy(given[ACCOUNT])
        else:
            self._write(b":e:")
            if given[ID].end:
                self._copy(given[ID])
            else:
                self._write_text(id_start, id_start + 36)
        key = self._bytes_from(start)
        if self.full:
            return False
        found.append((key, value))
        return True

    cdef int _kind(self, Span given) noexcept nogil:
        if not given.end or self._same(given, b"track"):
            return TRACK
        if self._same(given, b"identify"):
            return IDENTIFY
        if self._same(given, b"group"):
            return GROUP
        if self._same(given, b"page"):
            return PAGE
        if self._same(given, b"screen"):
            return SCREEN
        return ALIAS if self._same(given, b"alias") else -1

    cdef bint _is_sound(self, int kind, Span* given) except -1:
        cdef int field
        for field in (USER, ANONYMOUS_ID, PREVIOUS_ID, ACCOUNT):
            if given[field].end and not (self._is_id(given[field]) and not self._may_be_nobody(given[field])):
                return False
        if given[ID].end and not self._is_id(given[ID]):
            return False
        if given[ACTION].end:
            if not self._is_action(given[ACTION]):
                return False
        elif kind == TRACK:
            return False
        if kind == IDENTIFY:
            return given[USER].end or given[ANONYMOUS_ID].end
        if kind == GROUP:
            return given[ACCOUNT].end != 0
        if kind == ALIAS:
            return given[USER].end and given[PREVIOUS_ID].end
        return True

    cdef bint _is_id(self, Span given) noexcept nogil:
        """ASCII, and not blank."""
        cdef Py_ssize_t at
        cdef bint blank = True
        if not 0 < given.end - given.start <= self.rules.max_id_chars:
            return False
        for at in range(given.start, given.end):
            if self._byte(at) >= 0x7F:
                return False
            if self._byte(at) != b" ":
                blank = False
        return not blank

    cdef bint _may_be_nobody(self, Span given) except -1:
        """Whether it is a placeholder, without the space around it."""
        while self._byte(given.start) == b" ":
            given.start += 1
        while self._byte(given.end - 1) == b" ":
            given.end -= 1
        cdef Py_ssize_t length = given.end - given.start
        if length > self.rules.longest_placeholder:
            return False
        if not self.rules.placeholder_lengths[_lowered(self._byte(given.start)) & 0x7F] >> length & 1:
            return False
        return self.body[given.start:given.end].lower() in self.rules.placeholders

    cdef bint _is_action(self, Span given) noexcept nogil:
        """Short enough in bytes, and with a character that is surely no space."""
        cdef Py_ssize_t at
        cdef unsigned char byte
        if given.end - given.start > self.rules.max_action_chars:
            return False
        for at in range(given.start, given.end):
            byte = self._byte(at)
            # The spaces beyond ASCII lie in U+0080 to U+00BF and in U+1000 to U+3FFF.
            if 0x20 < byte < 0x7F or 0xC3 <= byte < 0xE0 or byte >= 0xE4:
                return True
        return False

    # Times.

    cdef long long _moment(self, Span given) noexcept nogil:
        """Microseconds since 1970 of `YYYY-MM-DDTHH:MM:SS[.digits]Z`; -1 for a doubt."""
        cdef Py_ssize_t at = given.start
        cdef long long year, month, day, hour, minute, second, fraction = 0
        cdef int digits = 0
        cdef unsigned char byte
        if not 20 <= given.end - given.start <= MAX_TIME_CHARS:
            return -1
        year, month, day = self._digits(at, 4), self._digits(at + 5, 2), self._digits(at + 8, 2)
        hour, minute, second = self._digits(at + 11, 2), self._digits(at + 14, 2), self._digits(at + 17, 2)
        if self._byte(at + 4) != b"-" or self._byte(at + 7) != b"-" or self._byte(at + 10) != b"T":
            return -1
        if self._byte(at + 13) != b":" or self._byte(at + 16) != b":" or self._byte(given.end - 1) != b"Z":
            return -1
        if not 1970 <= year <= MAX_YEAR or not 1 <= month <= 12 or not 1 <= day <= _days_of(year, month):
            return -1
        if not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59:
            return -1
        at += 19
        if at < given.end - 1:
            if self._byte(at) != b"." or at + 1 == given.end - 1:
                return -1
            for at in range(at + 1, given.end - 1):
                byte = self._byte(at)
                if not b"0" <= byte <= b"9":
                    return -1
                if digits < 6:
                    fraction = fraction * 10 + (byte - c'0')
                    digits += 1
        while digits < 6:
            fraction *= 10
            digits += 1
        return ((_day_number(year, month, day) * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + fraction

    cdef long long _digits(self, Py_ssize_t at, int count) noexcept nogil:
        """The number that stands there in that many digits; -1 for a doubt."""
        cdef long long number = 0
        cdef unsigned char byte
        for at in range(at, at + count):
            byte = self._byte(at)
            if not b"0" <= byte <= b"9":
                return -1
            number = number * 10 + (byte - c'0')
        return number

    cdef bint _time(self, long long moment_us) noexcept nogil:
        """Write the moment."""
        cdef long long second = moment_us // 1_000_000, micro = moment_us % 1_000_000
        cdef long long day = second // 86_400, of_day = second % 86_400
        cdef long long year, month
        if moment_us < 0:
            return False
        # Days since 1 March of the year 0, so that a leap day ends its year.
        day += 719_468
        cdef long long era = day // 146_097, of_era = day % 146_097
        cdef long long year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
        cdef long long of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
        cdef long long shifted = (5 * of_year + 2) // 153
        month = shifted + 3 if shifted < 10 else shifted - 9
        year = year_of_era + era * 400 + (month <= 2)
        if year > 9_999:
            return False
        self._write(b'"')
        self._number_text(year, 4)
        self._write(b"-")
        self._number_text(month, 2)
        self._write(b"-")
        self._number_text(of_year - (153 * shifted + 2) // 5 + 1, 2)
        self._write(b"T")
        self._number_text(of_day // 3_600, 2)
        self._write(b":")
        self._number_text(of_day // 60 % 60, 2)
        self._write(b":")
        self._number_text(of_day % 60, 2)
        if micro:
            self._write(b".")
            self._number_text(micro, 6)
        self._write(b'Z"')
        return True

    cdef void _number_text(self, long long number, int digits) noexcept nogil:
        cdef unsigned char text[6]
        cdef int at
        if digits > 6:
            self.full = True
            return
        for at in range(digits - 1, -1, -1):
            text[at] = <unsigned char> (c'0' + number % 10)
            number //= 10
        self._copied(text, digits)

    # Ids.

    cdef bint _new_id(self) except -1:
        """Write a UUIDv7, as `eventmodel.new_event_id` makes them."""
        cdef unsigned char raw[16]
        cdef unsigned char text[36]
        cdef unsigned long long now_ms = time_ns() // 1_000_000
        cdef int at, place = 0
        if self.random is None or self.random_used + RANDOM_BYTES > PyBytes_GET_SIZE(self.random):
            self.random = urandom(RANDOM_BYTES * min(MAX_IDS_AHEAD, 1 + (self.size - self.at) // 128))
            self.random_used = 0
        for at in range(6):
            raw[at] = (now_ms >> (40 - 8 * at)) & 0xFF
        for at in range(RANDOM_BYTES):
            raw[6 + at] = self.random[self.random_used + at]
        self.random_used += RANDOM_BYTES
        raw[6] = raw[6] & 0x0F | 0x70
        raw[8] = raw[8] & 0x3F | 0x80
        for at in range(16):
            if at == 4 or at == 6 or at == 8 or at == 10:
                text[place] = b"-"
                place += 1
            text[place] = _hex_digit(raw[at] >> 4)
            text[place + 1] = _hex_digit(raw[at] & 0x0F)
            place += 2
        self._copied(text, 36)
        return True

    # JSON values: each is checked and written without the space in it.

    cdef bint _value(self, int depth) noexcept nogil:
        cdef unsigned char byte = self._byte(self.at)
        if byte == b'"':
            return self._string()
        if byte == b"{":
            return self._object(depth + 1, False)
        if byte == b"[":
            return self._array(depth + 1)
        if byte == b"t":
            return self._written_literal(b"true")
        if byte == b"f":
            return self._written_literal(b"false")
        if byte == b"n":
            return self._written_literal(b"null")
        return self._number()

    cdef bint _object(self, int depth, bint is_context) noexcept nogil:
        cdef int first_key = self.open_keys
        cdef bint sound
        sound = depth <= self.rules.max_depth and self._members(depth, is_context)
        self.open_keys = first_key
        return sound

    cdef bint _members(self, int depth, bint is_context) noexcept nogil:
        cdef int first_key = self.open_keys
        cdef Span key
        self._write(b"{")
        self.at += 1
        self._space()
        if self._take(b"}"):
            self._write(b"}")
            return True
        while True:
            if not self._plain_string(&key) or not self._is_new(key, first_key):
                return False
            # These say who sent it and from where, and are rewritten.
            if is_context and (self._same(key, b"ip") or self._same(key, b"library")):
                return False
            self._write(b'"')
            self._copy(key)
            self._write(b'":')
            self._space()
            if not self._take(b":"):
                return False
            self._space()
            if not self._value(depth):
                return False
            self._space()
            if self._take(b"}"):
                self._write(b"}")
                return True
            if not self._take(b","):
                return False
            self._write(b",")
            self._space()

    cdef bint _is_new(self, Span key, int first_key) noexcept nogil:
        """Whether no key of the object was the same so far."""
        cdef int at
        if self.open_keys - first_key >= MAX_KEYS or not 0 <= self.open_keys < MAX_OPEN_KEYS:
            return False
        for at in range(first_key, self.open_keys):
            if self._are_same(self.keys[at], key):
                return False
        self.keys[self.open_keys] = key
        self.open_keys += 1
        return True

    cdef bint _array(self, int depth) noexcept nogil:
        if depth > self.rules.max_depth:
            return False
        self._write(b"[")
        self.at += 1
        self._space()
        if self._take(b"]"):
            self._write(b"]")
            return True
        while True:
            if not self._value(depth):
                return False
            self._space()
            if self._take(b"]"):
                self._write(b"]")
                return True
            if not self._take(b","):
                return False
            self._write(b",")
            self._space()

    cdef bint _number(self) noexcept nogil:
        cdef Span given
        cdef Py_ssize_t digits, of_fraction
        given.start = self.at
        if self._byte(self.at) == b"-":
            self.at += 1
        digits = self._run_of_digits()
        if not digits or (digits > 1 and self._byte(self.at - digits) == b"0"):
            return False
        if self._byte(self.at) == b".":
            self.at += 1
            of_fraction = self._run_of_digits()
            if not of_fraction or digits + of_fraction > MAX_FLOAT_DIGITS:
                return False
        elif digits > MAX_INT_DIGITS or (self.at - given.start > digits and self._byte(self.at - 1) == b"0" and digits == 1):
            return False
        given.end = self.at
        self._copy(given)
        return True

    cdef Py_ssize_t _run_of_digits(self) noexcept nogil:
        cdef Py_ssize_t start = self.at
        while b"0" <= self._byte(self.at) <= b"9":
            self.at += 1
        return self.at - start

    cdef bint _literal(self, const char* text) noexcept nogil:
        cdef Span given
        given.start = self.at
        given.end = self.at + <Py_ssize_t> strlen(text)
        self.at = given.end
        return self._same(given, text)

    cdef bint _written_literal(self, const char* text) noexcept nogil:
        self._write(text)
        return self._literal(text)

    cdef bint _string(self) noexcept nogil:
        """Escapes that JSON does not need are resolved."""
        cdef Py_ssize_t at = self.at + 1
        cdef Span part
        cdef unsigned char byte
        part.start = self.at
        while True:
            byte = self._byte(at)
            if byte == b'"':
                part.end = at + 1
                self._copy(part)
                self.at = at + 1
                return True
            if byte == b"\\":
                part.end = at
                self._copy(part)
                at = self._escape(at + 1)
                if not at:
                    return False
                part.start = at
            elif byte < 0x20:
                return False
            elif byte < 0x80:
                at += 1
            else:
                at = self._character_end(at)
                if not at:
                    return False

    cdef Py_ssize_t _escape(self, Py_ssize_t at) noexcept nogil:
        """Write what the escape stands for whose backslash is before `at`; its end, 0 for a doubt."""
        cdef unsigned char byte = self._byte(at)
        cdef unsigned char text[2]
        cdef long code, second
        if byte == b"/":
            self._write(b"/")
            return at + 1
        if byte == b'"' or byte == b"\\" or byte == b"b" or byte == b"f" or byte == b"n" or byte == b"r" or byte == b"t":
            text[0], text[1] = b"\\", byte
            self._copied(text, 2)
            return at + 1
        if byte != b"u":
            return 0
        code = self._hex(at + 1)
        at += 5
        if 0xD800 <= code < 0xDC00 and self._byte(at) == b"\\" and self._byte(at + 1) == b"u":
            second = self._hex(at + 2)
            if not 0xDC00 <= second < 0xE000:
                return 0
            code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00)
            at += 6
        if code < 0x20 or 0xD800 <= code < 0xE000:
            return 0
        self._character(code)
        return at

    cdef long _hex(self, Py_ssize_t at) noexcept nogil:
        """The number of four hexadecimal digits; -1 for a doubt."""
        cdef long number = 0
        cdef unsigned char byte
        for at in range(at, at + 4):
            byte = self._byte(at)
            if b"0" <= byte <= b"9":
                number = number * 16 + (byte - c'0')
            elif b"a" <= (byte | 0x20) <= b"f":
                number = number * 16 + ((byte | 0x20) - c'a') + 10
            else:
                return -1
        return number

    cdef void _character(self, long code) noexcept nogil:
        cdef unsigned char text[4]
        if code == 0x22 or code == 0x5C:
            text[0], text[1] = b"\\", <unsigned char> code
            self._copied(text, 2)
        elif code < 0x80:
            text[0] = <unsigned char> code
            self._copied(text, 1)
        elif code < 0x800:
            text[0], text[1] = 0xC0 | (code >> 6), 0x80 | (code & 0x3F)
            self._copied(text, 2)
        elif code < 0x10000:
            text[0], text[1], text[2] = 0xE0 | (code >> 12), 0x80 | (code >> 6 & 0x3F), 0x80 | (code & 0x3F)
            self._copied(text, 3)
        else:
            text[0], text[1] = 0xF0 | (code >> 18), 0x80 | (code >> 12 & 0x3F)
            text[2], text[3] = 0x80 | (code >> 6 & 0x3F), 0x80 | (code & 0x3F)
            self._copied(text, 4)

    # The bytes of the body.

    cdef bint _plain_string(self, Span* given) noexcept nogil:
        """Take a string without escapes; `given` is what is between its quotes."""
        cdef Py_ssize_t at = self.at + 1
        cdef unsigned char byte
        if self._byte(self.at) != b'"':
            return False
        given.start = at
        while True:
            byte = self._byte(at)
            if byte == b'"':
                given.end = at
                self.at = at + 1
                return True
            if byte < 0x20 or byte == b"\\":
                return False
            if byte < 0x80:
                at += 1
            else:
                at = self._character_end(at)
                if not at:
                    return False

    cdef Py_ssize_t _character_end(self, Py_ssize_t at) noexcept nogil:
        """Behind the character of several bytes that begins there; 0 where it is not UTF-8."""
        cdef unsigned char first = self._byte(at), second = self._byte(at + 1)
        if not 0x80 <= second < 0xC0:
            return 0
        if 0xC2 <= first < 0xE0:
            return at + 2
        if not 0x80 <= self._byte(at + 2) < 0xC0:
            return 0
        if 0xE0 <= first < 0xF0:
            # Neither longer than need be nor half of a pair.
            if (first == 0xE0 and second < 0xA0) or (first == 0xED and second >= 0xA0):
                return 0
            return at + 3
        if not 0xF0 <= first <= 0xF4 or not 0x80 <= self._byte(at + 3) < 0xC0:
            return 0
        if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second >= 0x90):
            return 0
        return at + 4

    cdef inline void _space(self) noexcept nogil:
        cdef unsigned char byte
        while True:
            byte = self._byte(self.at)
            if byte != b" " and byte != b"\n" and byte != b"\t" and byte != b"\r":
                return
            self.at += 1

    cdef inline bint _take(self, unsigned char byte) noexcept nogil:
        if self._byte(self.at) != byte:
            return False
        self.at += 1
        return True

    cdef inline unsigned char _byte(self, Py_ssize_t at) noexcept nogil:
        """0, which no JSON holds, outside of the body."""
        return self.bytes[at] if 0 <= at < self.size else 0

    cdef inline bint _is_within(self, Span span) noexcept nogil:
        return 0 <= span.start <= span.end <= self.size

    cdef inline bint _same(self, Span span, const char* text) noexcept nogil:
        cdef Py_ssize_t length = strlen(text)
        if not self._is_within(span) or span.end - span.start != length:
            return False
        return memcmp(self.bytes + span.start, text, length) == 0

    cdef inline bint _are_same(self, Span one, Span other) noexcept nogil:
        cdef Py_ssize_t length = one.end - one.start
        if other.end - other.start != length or not self._is_within(one) or not self._is_within(other):
            return False
        return memcmp(self.bytes + one.start, self.bytes + other.start, length) == 0

    # The text that is written.

    cdef void _text(self, const char* name, Span given) noexcept nogil:
        if given.end:
            self._write(name)
            self._copy(given)
            self._write(b'"')

    cdef void _again(self, const char* name, Span written) noexcept nogil:
        if written.end:
            self._write(name)
            self._write_text(written.start, written.end)

    cdef inline void _copy(self, Span span) noexcept nogil:
        if self._is_within(span):
            self._copied(self.bytes + span.start, span.end - span.start)
        else:
            self.full = True

    cdef inline void _write(self, const char* text) noexcept nogil:
        self._copied(<const unsigned char*> text, strlen(text))

    cdef void _write_bytes(self, bytes text) noexcept:
        self._copied(<const unsigned char*> PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef void _write_text(self, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
        """Write once more what stands in the text."""
        if not 0 <= start <= end <= self.written or not self._make_room(end - start):
            self.full = True
            return
        memmove(self.text + self.written, self.text + start, end - start)
        self.written += end - start

    cdef inline void _copied(self, const unsigned char* source, Py_ssize_t length) noexcept nogil:
        if self._make_room(length):
            memcpy(self.text + self.written, source, length)
            self.written += length

    cdef inline bint _make_room(self, Py_ssize_t length) noexcept nogil:
        """Whether so many bytes more can be written; from the first time on that they cannot, `full` says so."""
        cdef Py_ssize_t room
        cdef unsigned char* moved
        if length <= self.room - self.written:
            return True
        room = 2 * (self.written + length) + 1024
        moved = <unsigned char*> realloc(self.text, room)
        if moved == NULL:
            self.full = True
            return False
        self.text, self.room = moved, room
        return True

    cdef bytes _bytes_from(self, Py_ssize_t start):
        return PyBytes_FromStringAndSize(<const char*> (self.text + start), self.written - start)


cdef long long _day_number(long long year, long long month, long long day) noexcept nogil:
    """Days since 1 January 1970."""
    # Years begin in March here, so that a leap day ends its year.
    year -= month <= 2
    cdef long long era = year // 400, year_of_era = year % 400
    cdef long long of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + of_year - 719_468


cdef long long _days_of(long long year, long long month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef unsigned char _lowered(unsigned char byte) noexcept nogil:
    return byte | 0x20 if b"A" <= byte <= b"Z" else byte


cdef unsigned char _hex_digit(unsigned char number) noexcept nogil:
    return c'0' + number if number < 10 else c'a' + number - 10
