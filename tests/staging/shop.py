"""The shop that tests of walls are about: what its plugins need, export and hide, and how they are run."""

import asyncio

import attrs

from buvar import context, di, errors, plugin

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


@attrs.frozen(eq=False)
class Engine:
    url: str = "default"


class Users:
    """What others ask for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine


class SqlUsers(Users): ...


@attrs.frozen(eq=False)
class Orders:
    users: Users
    engine: Engine


@attrs.frozen(eq=False)
class Request:
    path: str = "/"


@attrs.frozen(eq=False)
class Audit:
    request: Request
    engine: Engine


class Left: ...


class Right: ...


class Missing: ...


class Needy:
    def __init__(self, missing: Missing) -> None: ...


def run(*plugins, **options):
    """Run a stage; raise the error of a task that failed."""
    results = plugin.stage(*plugins, **options)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def got(key):
    """Return what *key* is resolved to here, None where it is not to be had."""
    try:
        return await di.nject(key)
    except errors.ResolveError:
        return None


def looking(seen, look, *loads, walled=False):
    """Return a plugin that loads others, and then appends to *seen* what *look* finds."""

    async def prepare(load: plugin.Loader):
        await load(*loads)
        found = look()
        seen.append(await found if asyncio.iscoroutine(found) else found)

    return plugin.exports()(prepare) if walled else prepare


@plugin.exports(Users)
async def users():
    context.add(Engine("users"))
    di.register(SqlUsers)


@plugin.exports(Audit)
async def audit():
    context.add(Engine("audit"))
    di.scoped(Audit)
