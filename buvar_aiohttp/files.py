"""Files: what cannot be served of them is told by a problem, as all else is, and not by an empty body."""

from __future__ import annotations

import errno
import typing as t

from aiohttp import hdrs, web

from .http.problems import Problem

#: errors of the system for a path that a client made up: nothing can be there
_NO_PATH: t.Final = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EINVAL})
_DETAILS: t.Final = {
    403: "this is no file that can be read",
    404: "there is no such file",
    412: "the file is not the one that the request is for",
    416: "the file has no such part",
}


class File(web.FileResponse):
    """The response that a ``FileResponse`` becomes when it is sent: where the file cannot be sent it is a problem."""

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Set the status; raise `Problem` for that of an error, of which nothing was sent yet."""
        if status < 400:
            super().set_status(status, reason)
            return
        kept = {key: value for key, value in self.headers.items() if key == hdrs.CONTENT_RANGE}
        raise Problem(status, _DETAILS.get(status), headers=kept)


def checked(response: web.FileResponse) -> File:
    """Return *response*, which is not sent yet, as one whose errors are problems."""
    it: t.Any = response
    it.__class__ = File
    return t.cast("File", it)


class Folder(web.StaticResource):
    """The files of a folder; a path that no file can have is 404."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await super()._handle(request)
        except OSError as error:
            if error.errno not in _NO_PATH:
                raise
            raise web.HTTPNotFound from None
