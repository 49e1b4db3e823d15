"""Every public module exports exactly what is listed here: what it defines, and what it imports ``as`` itself."""

import ast
import importlib
import importlib.util
import pathlib

import pytest

EXPORTS = {
    "buvar": """
        Cancel ComponentLookupError Components ConfigSource Teardown components config context di errors fork log names
        plugin run stage
    """,
    "buvar.components": """
        ADDITIONS Addition Closer Components Entry Home Layer Maps Mark Missing NAMED NAMES OUTER line_of merge missing
    """,
    "buvar.context": """
        StackingTaskFactory add buvar_context child current_context find get pop push run scope set_task_factory
    """,
    "buvar.di": """
        Adapter AdapterError Adapters All Graph Injected Name Parameter ResolveError Root bind buvar_adapters check
        check_all graph
        graph_all needed nject nject_now override register require resolve roots scoped singleton transient
    """,
    "buvar.config": """
        Config ConfigError ConfigProblem ConfigSource ConversionError bool_var converter create_env_config
        generate_env_help prepare relaxed_converter secret_var skip_section traverse_attrs
    """,
    "buvar.log": """
        LogConfig Merged StdioToLog level_number setup_logging stringify_dict_keys uncaught_exception
    """,
    "buvar.names": "fqdn resolve",
    "buvar.plugin": """
        Cancel Check Declaration Declared Diagnostic Lead Loader Needs Ready Signals Stage Teardown declared exports
        leader resolve_plugin_func run stage
    """,
    "buvar.routes": "Listing Parameter Route",
    "buvar.fork": """
        Board Fork Limits LoopFactory Row Socket Sockets WorkerStatus stage
        tell_supervisor
    """,
    "buvar.plugins.bg": "Job Jobs OBEY_TIMEOUT Sync prepare",
    "buvar.plugins.flags": "Flag Flags SECTION is_on load_flags override prepare",
    "buvar.plugins.health": "Health HealthCheck Kind Last OBEY_TIMEOUT Report Result check prepare",
    "buvar.plugins.permissions": "Grants Permission Permissions granted prepare require",
    "buvar.testing": """
        PLUGINS_MARK buvar_adapters_setup_contextvars buvar_config_source buvar_context buvar_load buvar_override
        buvar_plugin_context buvar_stage buvar_stage_loop pytest_configure pytest_runtest_call pytest_runtest_setup
        reset_buvar_context reset_config_sections wrap_in_buvar_plugin_context
    """,
    "buvar_aiohttp": "AioHttpConfig prepare prepare_app prepare_client_session prepare_server",
    "buvar_aiohttp.edges": "RequestId server_options settle",
    "buvar_aiohttp.health": "HealthConfig NO_STORE News Probes Siblings prepare",
    "buvar_aiohttp.introspect": "IntrospectConfig prepare",
    "buvar_aiohttp.json": "Jsonify StandardJsonify jsonify prepare response",
    "buvar_aiohttp.metrics": "Metrics prepare",
    "buvar_aiohttp.openapi": "OpenApiConfig describe prepare",
    "buvar_aiohttp.routing": "Router",
    "buvar_aiohttp.testing": "buvar_aiohttp_app buvar_aiohttp_client buvar_aiohttp_port client",
}
# made for the module itself: type variables and its logger
OWN = ("TypeVar", "ParamSpec", "get_logger")


def exported(module):
    """Return the names that a module exports, by its source: modules and what it merely uses are none of them."""
    tree = ast.parse(pathlib.Path(importlib.util.find_spec(module).origin).read_text())
    return sorted({name for node in tree.body for name in names(node) if not name.startswith("_")})


def names(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom):
        yield from (alias.asname for alias in node.names if alias.asname and alias.asname == alias.name)
    elif isinstance(node, ast.If):  # "if TYPE_CHECKING": a face that imports its rooms when they are asked for
        yield from (name for each in node.body for name in names(each))
    elif isinstance(node, ast.Assign | ast.AnnAssign) and not is_own(node.value):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def is_own(value):
    return isinstance(value, ast.Call) and ast.unparse(value.func).endswith(OWN)


@pytest.mark.parametrize("module", EXPORTS)
def test_a_module_exports_what_is_listed(module):
    """The module exports the listed names, and no other."""
    assert exported(module) == sorted(EXPORTS[module].split())


@pytest.mark.parametrize("module", EXPORTS)
def test_what_is_listed_is_there(module):
    """Each name that is listed can be had from the module."""
    found = importlib.import_module(module)
    assert [name for name in EXPORTS[module].split() if not hasattr(found, name)] == []
