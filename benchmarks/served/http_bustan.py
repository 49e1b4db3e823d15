"""The HTTP benchmark as bustan's documentation has one write it, which answers with dicts and responses."""

import typing as t

import http_shop
from bustan import Controller, Get, HttpResponse, Injectable, Module, Post, Scope, create_app
from http_models import Order


@Injectable
class Store(http_shop.Store):
    pass


@Injectable(scope=Scope.REQUEST)
class Unit(http_shop.Unit):
    def __init__(self, store: Store) -> None:
        super().__init__(store)


@Controller("/", scope=Scope.REQUEST)
class Items:
    def __init__(self, store: Store, unit: Unit) -> None:
        self.store = store
        self.unit = unit

    @Get("/items/{number}")
    async def item(self, number: int, limit: int) -> dict[str, t.Any]:
        assert self.unit.store is self.store
        name, price, like = self.unit.find(number, limit)
        return {"id": number, "name": name, "price": price, "limit": limit, "like": like}


@Controller("/")
class Others:
    @Get("/text")
    async def text(self) -> HttpResponse:
        return HttpResponse(body=http_shop.TEXT.encode(), media_type="text/plain; charset=utf-8")

    @Post("/orders")
    async def order(self, order: Order) -> HttpResponse:
        return HttpResponse(body=order.model_dump_json().encode(), media_type="application/json")


@Module(controllers=[Items, Others], providers=[Store, Unit])
class Shop:
    pass


app = create_app(Shop)
