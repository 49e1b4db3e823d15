"""The graph of a stage leads through walls."""

import pytest

from buvar import context, di, plugin
from tests.staging.shop import Engine, Left, Needy, Orders, SqlUsers, Users

pytestmark = pytest.mark.usefixtures("registry")


def test_the_graph_of_a_stage_leads_through_walls():
    """Each adapter is there once, with its owner, and the edges lead to what is behind the walls, and there."""
    place = __name__

    @plugin.exports(Users)
    async def exporting():
        di.singleton(Engine)
        di.register(SqlUsers)
        di.scoped(Left)  # nobody asks for it

    @plugin.exports()
    async def private(load: plugin.Loader):
        await load(exporting)
        di.register(Needy)

    async def asking(load: plugin.Loader):
        await load(exporting, private)
        di.register(Orders)
        context.add(Engine("all"))

    stage = plugin.Stage()
    stage.load(asking)
    graph = stage.graph()
    stage.run_teardown()
    nodes = {node.id: node for node in (*graph.adapters, *graph.components)}
    inner = "test_the_graph_of_a_stage_leads_through_walls.<locals>."
    assert [(node.label, node.lifetime, node.owner.split(":")[1].removeprefix(inner)) for node in graph.adapters] == [
        ("Orders", "transient", "asking"),
        ("SqlUsers", "transient", "exporting"),
        ("Engine", "singleton", "exporting"),
        ("Left", "scoped", "exporting"),
        ("Needy", "transient", "private"),
    ]
    assert all(node.owner.startswith(place) for node in graph.adapters)
    edges = [(nodes[edge.asker].label, edge.parameter, nodes.get(edge.provider), edge.how) for edge in graph.edges]
    assert [(asker, parameter, how) for asker, parameter, _, how in edges] == [
        ("Orders", "users", "adapter"),
        ("Orders", "engine", "component"),
        ("SqlUsers", "engine", "adapter"),
        ("Engine", "url", "default"),
        ("Needy", "missing", "missing"),
    ]
    assert edges[0][2].label == "SqlUsers"
    assert edges[1][2].owner.endswith("asking")
