"""A link shortener on SQLite, as a service of several plugins.

``buvar run -c config.toml`` from the root of the repository serves it at 127.0.0.1:8080 with two workers:

| request                       | answer                                                                            |
|-------------------------------|-----------------------------------------------------------------------------------|
| ``POST /links`` ``{"url": …}``| 201 with code, url and short URL; 422 for what is no such object, or no URL        |
| ``GET /{code}``               | 302 to the URL, counted as a hit (``HEAD`` is not counted); 404                    |
| ``GET /links/{code}``         | 200 with url, hits and the time of creation; 404                                   |
| ``GET /links``                | 200 with a page of links, the newest first, and where the next page is             |
| ``GET /health/ready``         | 200, or 503 where the database cannot be read                                      |
| ``GET /docs``                 | 200 with a page that documents all this, from ``/openapi.json``                    |

The plugins: `.database` opens the file in each worker, `.statistics` counts hits in background jobs, `.links` answers
the requests. The sections of the configuration have the same names.
"""

from __future__ import annotations

from buvar import plugin


async def prepare(load: plugin.Loader) -> None:
    """Load the service: each plugin loads what it needs itself."""
    await load("buvar_aiohttp.health", "buvar_aiohttp.openapi", ".statistics", ".links")
