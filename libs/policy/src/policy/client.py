"""The program on somebody's own device that made a request."""

from typing import Final, NamedTuple

MAX_USER_AGENT_CHARS: Final = 512


class Client(NamedTuple):
    """What a browser's request tells of whoever sits before it; a server's request tells nothing of anybody.

    `opted_out` says that the request carried Sec-GPC or DNT.
    """

    ip: str | None = None
    user_agent: str | None = None
    opted_out: bool = False
