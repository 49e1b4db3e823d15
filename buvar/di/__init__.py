"""Dependency injection: adapters build components, found by their return type.

Register a class, a function or a method; ask for an object by its type; what it needs is found by the annotations of
its parameters, in the keywords given, in the context, and among the adapters.
"""

from buvar.errors import AdapterError as AdapterError
from buvar.errors import ResolveError as ResolveError

from . import resolve as resolve
from .adapter import Adapter as Adapter
from .registry import Adapters as Adapters
from .registry import buvar_adapters as buvar_adapters
from .registry import nject as nject
from .registry import register as register
