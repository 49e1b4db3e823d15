"""Bodies as msgspec has them, for ours, Litestar, and what is written by hand."""

from __future__ import annotations

import datetime as dt
import typing as t

import msgspec
from msgspec import Meta


class Item(msgspec.Struct):
    id: int
    name: str
    price: float
    limit: int
    like: list[int]


class Address(msgspec.Struct):
    name: t.Annotated[str, Meta(min_length=1, max_length=80)]
    street: t.Annotated[str, Meta(min_length=1, max_length=80)]
    city: t.Annotated[str, Meta(min_length=1, max_length=80)]
    country: t.Annotated[str, Meta(min_length=2, max_length=2)]


class Line(msgspec.Struct):
    item: t.Annotated[int, Meta(ge=1)]
    title: t.Annotated[str, Meta(max_length=80)]
    amount: t.Annotated[int, Meta(ge=1, le=1000)]
    price: t.Annotated[float, Meta(ge=0)]


class Order(msgspec.Struct):
    id: t.Annotated[int, Meta(ge=1)]
    number: t.Annotated[str, Meta(min_length=3, max_length=20)]
    placed: dt.datetime
    customer: t.Annotated[str, Meta(min_length=1, max_length=80)]
    email: t.Annotated[str, Meta(pattern="^[^@ ]+@[^@ ]+$")]
    phone: str | None
    currency: t.Annotated[str, Meta(min_length=3, max_length=3)]
    total: t.Annotated[float, Meta(ge=0)]
    discount: t.Annotated[float, Meta(ge=0, le=1)]
    paid: bool
    express: bool
    priority: t.Annotated[int, Meta(ge=1, le=5)]
    weight: t.Annotated[float, Meta(gt=0)]
    note: t.Annotated[str, Meta(max_length=500)]
    channel: t.Literal["web", "shop", "phone"]
    voucher: str | None
    locale: t.Annotated[str, Meta(min_length=2, max_length=5)]
    tags: t.Annotated[list[str], Meta(max_length=10)]
    address: Address
    lines: t.Annotated[list[Line], Meta(min_length=1, max_length=50)]
