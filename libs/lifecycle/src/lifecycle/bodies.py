"""A bound on request bodies, for apps whose routes read them whole."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.errors import Problem, problem_response


class BodyLimit:
    """Pure ASGI middleware: a body over `max_bytes` is answered 413, and no more of it is kept than that."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced_bytes(scope) > self._max_bytes:
            await self._refusal()(scope, receive, send)
            return
        received_bytes = 0
        answered = False

        async def bounded_receive() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._max_bytes:
                # An exception of another kind FastAPI takes for a body it cannot parse.
                raise HTTPException(413)
            return message

        async def refusing_send(message: Message) -> None:
            nonlocal answered
            if received_bytes <= self._max_bytes:
                await send(message)
            elif not answered:
                answered = True
                await self._refusal()(scope, receive, send)

        await self._app(scope, bounded_receive, refusing_send)

    def _refusal(self) -> ASGIApp:
        return problem_response(
            Problem(413, "body_too_large", f"The body is larger than {self._max_bytes:,} bytes.")
        )


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
