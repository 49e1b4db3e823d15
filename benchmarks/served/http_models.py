"""The bodies of ``http_structs`` as pydantic has them, for FastAPI and bustan."""

from __future__ import annotations

import datetime as dt
import typing as t

from pydantic import BaseModel, Field


class Item(BaseModel):
    id: int
    name: str
    price: float
    limit: int
    like: list[int]


class Address(BaseModel):
    name: t.Annotated[str, Field(min_length=1, max_length=80)]
    street: t.Annotated[str, Field(min_length=1, max_length=80)]
    city: t.Annotated[str, Field(min_length=1, max_length=80)]
    country: t.Annotated[str, Field(min_length=2, max_length=2)]


class Line(BaseModel):
    item: t.Annotated[int, Field(ge=1)]
    title: t.Annotated[str, Field(max_length=80)]
    amount: t.Annotated[int, Field(ge=1, le=1000)]
    price: t.Annotated[float, Field(ge=0)]


class Order(BaseModel):
    id: t.Annotated[int, Field(ge=1)]
    number: t.Annotated[str, Field(min_length=3, max_length=20)]
    placed: dt.datetime
    customer: t.Annotated[str, Field(min_length=1, max_length=80)]
    email: t.Annotated[str, Field(pattern="^[^@ ]+@[^@ ]+$")]
    phone: str | None
    currency: t.Annotated[str, Field(min_length=3, max_length=3)]
    total: t.Annotated[float, Field(ge=0)]
    discount: t.Annotated[float, Field(ge=0, le=1)]
    paid: bool
    express: bool
    priority: t.Annotated[int, Field(ge=1, le=5)]
    weight: t.Annotated[float, Field(gt=0)]
    note: t.Annotated[str, Field(max_length=500)]
    channel: t.Literal["web", "shop", "phone"]
    voucher: str | None
    locale: t.Annotated[str, Field(min_length=2, max_length=5)]
    tags: t.Annotated[list[str], Field(max_length=10)]
    address: Address
    lines: t.Annotated[list[Line], Field(min_length=1, max_length=50)]
