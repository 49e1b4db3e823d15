"""Dependency injection: adapters build components, found by their return type.

Register a class, a function or a method, and say how long what it builds lives; ask for an object by its type. What it
needs is found by the annotations of its parameters, in the keywords given, in the context, and among the adapters.
"""

from buvar.errors import AdapterError as AdapterError
from buvar.errors import ResolveError as ResolveError

from . import resolve as resolve
from .adapter import Adapter as Adapter
from .check import Root as Root
from .check import check as check
from .check import check_all as check_all
from .check import needed as needed
from .check import require as require
from .check import roots as roots
from .current import bind as bind
from .current import nject as nject
from .current import nject_now as nject_now
from .current import override as override
from .current import register as register
from .current import scoped as scoped
from .current import singleton as singleton
from .current import transient as transient
from .graph import Graph as Graph
from .graph import graph as graph
from .graph import graph_all as graph_all
from .injected import Injected as Injected
from .markers import All as All
from .markers import Name as Name
from .registry import Adapters as Adapters
from .registry import buvar_adapters as buvar_adapters
from .signature import Parameter as Parameter
