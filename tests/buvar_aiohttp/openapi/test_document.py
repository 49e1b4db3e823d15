"""The document says what the service does: each typed route, its parameters, bodies, responses and problems."""

import collections.abc as c
import datetime as dt
import enum
import json
import typing as t

import attrs
import msgspec
import openapi_spec_validator
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from buvar import context, di, plugin
from buvar_aiohttp import http, testing
from buvar_aiohttp.http import returns
from buvar_aiohttp.openapi import requests, schemas


@pytest.fixture
async def document(shop):
    async with testing.client(shop.prepare) as client, client.get("/openapi.json") as response:
        return await response.json()


async def test_a_service_with_every_kind_of_parameter_is_valid(document):
    """A validator of OpenAPI takes the document of a service that has all that handlers may have."""
    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.validate(document)


async def test_each_typed_route_is_there_once(document, shop):
    """All typed routes are there, below the prefixes of their applications; hidden ones and HEAD beside GET are not."""
    found = {(method, path) for path, item in document["paths"].items() for method in item}
    assert ("get", "/below/v2/items/{number}") in found
    assert ("post", "/orders/{id}") in found
    assert not [each for each in found if each[0] == "head" or each[1] in {"/hidden", "/docs", "/openapi.json"}]
    assert len(found) == len(shop.ALL) - 1 + 1 + 1  # one is hidden, the controller has two, one is there twice
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)


async def test_web_sockets_and_plain_routes_are_left_out(describe):
    """What OpenAPI has no words for is not in the document."""

    @http.websocket("/talk")
    async def talk(socket: web.WebSocketResponse) -> None: ...

    async def plain(request):
        return web.Response()

    async def routes():
        context.get(web.Application).router.add_get("/plain", plain)

    assert (await describe(talk, prepares=[routes]))["paths"] == {}


# parameters


async def test_parameters(operation):
    """Each source has its place, with what is required, the default, and the limits; what is injected is no matter."""

    class Users: ...

    async def users():
        context.add(Users())

    @http.get("/{number}")
    async def show(
        number: t.Annotated[int, msgspec.Meta(ge=1)],
        users: Users,
        q: t.Annotated[str, msgspec.Meta(description="what for", min_length=2)],
        page: int | None = None,
        tags: list[int] = [1],
        x_token: t.Annotated[str | None, http.Header] = None,
        session: t.Annotated[str, http.Cookie("SID")] = "none",
    ) -> None: ...

    assert (await operation(show, prepares=[users]))["parameters"] == [
        {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
        {
            "name": "q",
            "in": "query",
            "description": "what for",
            "required": True,
            "schema": {"type": "string", "minLength": 2},
        },
        {"name": "page", "in": "query", "schema": {"type": "integer"}},
        {
            "name": "tags",
            "in": "query",
            "schema": {"type": "array", "items": {"type": "integer"}, "default": [1]},
            "explode": True,
        },
        {"name": "X-Token", "in": "header", "schema": {"type": "string"}},
        {"name": "SID", "in": "cookie", "schema": {"type": "string", "default": "none"}},
    ]


async def test_regular_expressions_in_the_path(operation):
    """A part of the path that has one is a part by name, with a pattern; parts that nobody takes are there too."""

    @http.get(r"/{year:\d{4}}/{kind:a|b}/{name}/{rest:(?i:x+)}")
    async def show(year: str, kind: t.Annotated[str, msgspec.Meta(pattern="^.$")]) -> None: ...

    told = await operation(show)
    assert told["path"] == "/{year}/{kind}/{name}/{rest}"
    assert {each["name"]: each["schema"] for each in told["parameters"]} == {
        "year": {"type": "string", "pattern": r"^\d{4}$"},
        "kind": {"allOf": [{"type": "string", "pattern": "^.$"}, {"pattern": "^(a|b)$"}]},
        "name": {"type": "string"},
        "rest": {"type": "string"},  # what only Python understands is not told
    }
    assert "404" in told["responses"]


async def test_paths_that_differ_in_names_alone_are_one(describe):
    """Two handlers at one path that call its parts differently share the names of the first; none is lost."""

    @http.get("/{a}/x/{b}")
    async def show(a: int, b: str) -> None: ...

    @http.put("/{one}/x/{two}")
    async def change(one: int, two: str) -> None: ...

    @http.get(r"/{c:\d+}/x/{d:\d+}")
    async def other(c: int, d: int) -> None: ...

    paths = (await describe(show, change, other))["paths"]
    assert {path: list(item) for path, item in paths.items()} == {
        "/{a}/x/{b}": ["get", "put"],
        "/{a_}/x/{b_}": ["get"],
    }
    for path, item in paths.items():
        for each in item.values():
            assert {parameter["name"] for parameter in each["parameters"]} == set(requests.patterns(path))


# bodies


async def test_a_json_body(operation):
    """A class that nothing provides is the body, under a name in the components; media types that are refused 415."""

    @attrs.frozen
    class Order:
        """What is ordered."""

        name: str
        when: dt.datetime | None = None

    @http.post("/", status=201)
    async def create(order: Order) -> Order:
        return order

    told = await operation(create)
    schema = {"$ref": "#/components/schemas/Order"}
    assert told["requestBody"] == {"required": True, "content": {"application/json": {"schema": schema}}}
    assert told["responses"]["201"] == {"description": "Created", "content": {"application/json": {"schema": schema}}}
    assert list(told["responses"]) == ["201", "400", "413", "415", "422"]
    assert told["components"]["schemas"]["Order"] == {
        "title": "Order",
        "description": "What is ordered.",
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "when": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
        },
        "required": ["name"],
    }


async def test_what_is_provided_is_no_body(operation):
    """A class that an adapter provides is injected, and no body, as it is when a request is bound."""

    @attrs.frozen
    class Order:
        name: str = "tea"

    async def orders():
        di.register(Order)

    @http.post("/")
    async def create(order: Order) -> str:
        return order.name

    told = await operation(create, prepares=[orders])
    assert "requestBody" not in told
    assert list(told["responses"]) == ["200", "422"]


@pytest.mark.parametrize(
    ("tp", "content"),
    [(bytes, {"application/octet-stream": {}}), (str, {"text/plain": {"schema": {"type": "string"}}})],
)
async def test_a_raw_body(operation, tp, content):
    """A body that is taken as it is has no type that is refused."""

    @http.post("/")
    async def create(body: t.Annotated[tp, http.Body]) -> None: ...

    told = await operation(create)
    assert told["requestBody"] == {"content": content}
    assert "415" not in told["responses"]


async def test_forms_and_files(operation):
    """Fields of a form are one object; with a file among them it is multipart, and its types and size are told."""

    @http.post("/form")
    async def form(
        name: t.Annotated[str, http.Form], ages: t.Annotated[list[int] | None, http.Form("age")] = None
    ) -> None: ...

    body = (await operation(form))["requestBody"]
    assert list(body["content"]) == ["application/x-www-form-urlencoded", "multipart/form-data"]
    assert body["required"]
    assert body["content"]["multipart/form-data"]["schema"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "array", "items": {"type": "integer"}}},
        "required": ["name"],
        "additionalProperties": False,
    }

    @http.post("/files", unknown="ignore")
    async def upload(
        file: t.Annotated[bytes | None, http.File(max_size=9)] = None,
        images: t.Annotated[list[web.FileField], http.File(types=["image/png", "image/gif"])] = [],
    ) -> None: ...

    body = (await operation(upload))["requestBody"]
    assert body == {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "at most 9 bytes",
                            "maxLength": 9,
                        },
                        "images": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                },
                "encoding": {"images": {"contentType": "image/png, image/gif"}},
            }
        }
    }


# responses


class Tea(str, enum.Enum):
    GREEN = "green"


Alias: t.TypeAlias = "http.Response[bytes]"
JSON = "application/json"
STREAM = c.AsyncIterator


@pytest.mark.parametrize(
    ("tp", "expected"),
    [
        (None, {"204": None}),
        (str, {"200": {"text/plain": {"schema": {"type": "string"}}}}),
        (t.Literal["a"], {"200": {"text/plain": {"schema": {"type": "string"}}}}),
        (bytes, {"200": {"application/octet-stream": {}}}),
        (int, {"200": {JSON: {"schema": {"type": "integer"}}}}),
        (Tea, {"200": {JSON: {"schema": {"$ref": "#/components/schemas/Tea"}}}}),
        (t.Literal[1, 2], {"200": {JSON: {"schema": {"type": "integer", "enum": [1, 2]}}}}),
        (http.Response[int], {"200": {JSON: {"schema": {"type": "integer"}}}}),
        ("Alias", {"200": {"application/octet-stream": {}}}),
        (http.Response[int | None], {"200": {JSON: {"schema": {"type": "integer"}}}, "204": None}),
        (
            int | bool | str,
            {
                "200": {
                    JSON: {"schema": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}},
                    "text/plain": {"schema": {"type": "string"}},
                }
            },
        ),
        (web.Response, {"default": None}),
        (t.Any, {"default": None}),
        ("Nowhere", {"default": None}),
        (t.NoReturn, {"default": None}),
        (complex, {"200": {JSON: {"schema": {}}}}),
    ],
    ids=str,
)
async def test_what_is_returned(operation, tp, expected):
    """The annotation tells status, media type and schema; what it does not tell is left open."""

    @http.get("/", unknown="ignore")
    async def show(): ...

    show.__annotations__["return"] = tp
    found = (await operation(show))["responses"]
    assert {status: each.get("content") for status, each in found.items()} == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (http.Event, {"text/event-stream": {}}),
        (str, {"text/plain": {"schema": {"type": "string"}}}),
        (int, {"application/x-ndjson": {"schema": {"type": "integer"}}}),
        (bytes, {"application/octet-stream": {}}),
    ],
)
@pytest.mark.parametrize("kind", [c.AsyncIterator, c.AsyncGenerator])
async def test_what_is_streamed(operation, item, expected, kind):
    """An async generator tells by its items what it sends."""

    @http.get("/")
    async def show():
        yield

    show.__annotations__["return"] = kind[item, None] if kind is c.AsyncGenerator else kind[item]
    assert (await operation(show))["responses"]["200"]["content"] == expected


async def test_problems_are_told_where_the_plan_can_give_them(describe):
    """Each status stands where a request can be refused so, as problem details of one schema, and nowhere else."""

    @http.get("/fixed", unknown="ignore")
    async def fixed() -> int:
        return 1

    @http.get("/header", unknown="ignore")
    async def header(accept: t.Annotated[str | None, http.Header] = None) -> int:
        return 1

    @http.get("/number", unknown="ignore", timeout=1)
    async def number(n: int) -> int:
        return n

    @http.get("/strict")
    async def strict() -> int:
        return 1

    document = await describe(fixed, header, number, strict)
    statuses = {path: list(item["get"]["responses"]) for path, item in document["paths"].items()}
    assert statuses == {
        "/fixed": ["200"],
        "/header": ["200"],
        "/number": ["200", "400", "422", "503"],
        "/strict": ["200", "422"],
    }
    assert "parameters" not in document["paths"]["/header"]["get"]  # OpenAPI takes Accept as said by the responses
    assert list(document["components"]["responses"]) == ["BadRequest", "UnprocessableContent", "ServiceUnavailable"]
    for each in document["components"]["responses"].values():
        (content,) = each["content"].items()
        assert content == ("application/problem+json", {"schema": {"$ref": "#/components/schemas/Problem"}})


async def test_what_a_handler_says_of_itself(operation):
    """Its docstring, and what its decorator says, are told; the statuses that it raises are problems, or results."""

    @http.post(
        "/",
        raises={201: "It is made.", 303: "It is elsewhere.", 409: "There is one.", 422: "Not so."},
        tags=["a", "b"],
        deprecated=True,
    )
    async def create() -> http.Response[int]:
        """Create one
        thing.

        It *is* there then.

        Or not.
        """

    told = await operation(create)
    assert (told["summary"], told["description"]) == ("Create one thing.", "It *is* there then.\n\nOr not.")
    assert (told["tags"], told["deprecated"], told["operationId"]) == (["a", "b"], True, "create")
    content = {"application/json": {"schema": {"type": "integer"}}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert told["responses"] == {
        "200": {"description": "OK", "content": content},
        "201": {"description": "It is made.", "content": content},
        "303": {"description": "It is elsewhere."},
        "409": {"description": "There is one.", "content": problem},
        "422": {"description": "Not so.", "content": problem},
    }


async def test_the_schema_of_problems_is_that_of_problems(describe):
    """What is sent as a problem document fits the schema that the document has for it."""
    import jsonschema

    @http.get("/")
    async def show(a: int, b: int) -> None: ...

    schema = (await describe(show))["components"]["schemas"]["Problem"]

    async def prepare(load: plugin.Loader):
        await load("buvar_aiohttp")
        http.mount(show)

    async with testing.client(prepare) as client:
        for path in ("/?a=x&c=1", "/nowhere", "/?a=%zz"):
            async with client.get(path) as response:
                jsonschema.validate(await response.json(), schema)
    problem = http.Problem(
        409, "no", type="https://shop.test/taken", title="Taken", errors=[http.Fault("body", "x", path="$")]
    )
    jsonschema.validate(problem.document(), schema)


# names


async def test_operations_of_one_name_are_told_apart(describe):
    """Those that share the name of their function have that of their class, or plugin, before it; then their path."""

    @http.controller("/cats")
    class Cats:
        @http.get("/")
        async def show(self) -> None: ...

    @http.controller("/dogs")
    class Dogs:
        @http.get("/")
        async def show(self) -> None: ...

        @http.get("/old")
        @http.get("/new")
        async def other(self) -> None: ...

        @http.get("/alone")
        async def alone(self) -> None: ...

    @http.route("*", "/any")
    async def any_method(n: int = 0) -> None: ...

    document = await describe(Cats, Dogs, any_method)
    ids = sorted(each["operationId"] for item in document["paths"].values() for each in item.values())
    assert [each for each in ids if "any" not in each] == [
        "Cats_show",
        "Dogs_other_get_dogs_new",
        "Dogs_other_get_dogs_old",
        "Dogs_show",
        "alone",
    ]
    assert list(document["paths"]["/any"]) == ["get", "post", "put", "patch", "delete"]


class Item(msgspec.Struct):
    a: int


class Shop:
    class Item(msgspec.Struct):
        b: int


class Problem(msgspec.Struct):
    c: int


T = t.TypeVar("T")


class Page(msgspec.Struct, t.Generic[T]):
    items: list[T]


def names_of(*types):
    found = schemas.Schemas(types)
    return [found.of(tp)["$ref"].rpartition("/")[2] for tp in types], found


def test_classes_of_one_name_have_their_module_in_it():
    """Two classes of one name, what is generic over them, and one that is called Problem, all have their own schema."""
    names, found = names_of(Item, Shop.Item, Page[Item], Page[Shop.Item], Page[int], Problem)
    module = __name__.replace("-", "_")
    assert names[4] == "Page_int"
    assert names[0].endswith(".Item") and names[1].endswith(".Shop.Item") and names[5].endswith(".Problem")
    assert len(set(names)) == len(names) == len(found.components)
    assert all(list(found.components[name]["properties"]) == [key] for name, key in zip(names[:2], "ab"))
    assert found.components[names[3]]["properties"]["items"]["items"] == {"$ref": f"#/components/schemas/{names[1]}"}
    assert module in names[0]


def test_classes_of_one_place_have_a_number():
    """Classes that one function makes again and again do not share a schema."""

    def make(tp):
        return msgspec.defstruct("Made", [("x", tp)], module="shop")

    one, other = make(int), make(str)
    names, found = names_of(one, other)
    assert sorted(names) == ["shop.Made", "shop.Made_2"]
    assert {str(each["properties"]["x"]["type"]) for each in found.components.values()} == {"integer", "string"}


def test_what_cannot_be_described_spoils_nothing_else():
    """A class that msgspec does not know has an empty schema, also inside of others, and is told of."""

    class Strange: ...

    class Holder(msgspec.Struct):
        one: Strange
        two: int

    class Lost(msgspec.Struct):
        one: "Nowhere"  # noqa: F821

    found = schemas.Schemas([Holder, list[Strange], Lost])
    assert found.components["Holder"]["properties"] == {"one": {}, "two": {"type": "integer"}}
    assert found.of(list[Strange]) == {"type": "array", "items": {}}
    assert found.of(Lost) == {}
    assert [each.rpartition(".")[2].strip("'>") for each in found.undescribed] == ["Strange", "Lost"] or len(
        found.undescribed
    ) == 2


# the whole


async def test_the_document_is_the_same_each_time(shop, describe):
    """Services that have their handlers in another order have the same document, byte for byte."""

    async def users():
        context.add(shop.Users())

    handlers = [shop.show, shop.create, shop.Orders, shop.search]
    one = await describe(*handlers, prepares=[users])
    other = await describe(*reversed(handlers), prepares=[users])
    one.pop("tags"), other.pop("tags")
    assert json.dumps(one) == json.dumps(other)


async def test_the_configuration_says_what_the_service_is(describe):
    """Title, version, description and servers are those of the section."""
    document = await describe(title="Shop", version="2.1", description="Sells *tea*.", servers=["https://shop.test/v1"])
    assert document["info"] == {"title": "Shop", "version": "2.1", "description": "Sells *tea*."}
    assert document["servers"] == [{"url": "https://shop.test/v1"}]
    assert document["paths"] == {}


PARTS = ["{a}", "{b", "}", r"{c:\d{2}}", "{_d:.|x}", "/", ":", "e", "{}"]


@given(st.lists(st.sampled_from(PARTS), max_size=6).map("".join))
def test_any_path_is_read_as_aiohttp_does(path):
    """The parts of a path are those that aiohttp finds in it."""
    try:
        resource = web.UrlDispatcher().add_resource("/" + path)
    except ValueError:
        return
    pattern = resource.get_info().get("pattern")
    own = requests.patterns("/" + path)
    assert set(own) == (set(pattern.groupindex) if pattern is not None else set())
    assert all(f"{{{name}}}" in resource.canonical for name in own)


def test_a_handler_without_annotation_is_open():
    """What nobody says of a handler is not guessed."""

    async def show(): ...

    assert returns.read(show) == returns.Returned(is_open=True)
