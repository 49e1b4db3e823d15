"""What ``buvar check --explain`` says beside the meaning of a code: why that is so as a rule, and what to do."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

#: code -> (cause, remedy)
REMEDIES: t.Final[c.Mapping[str, tuple[str, str]]] = {
    "BV101": (
        "its type is another than that of the field, or the class refuses it",
        "correct it at the place that is told; 'buvar config template' has the type and the default of each value",
    ),
    "BV102": (
        "the key is misspelt, in the wrong table, or from another version of the service",
        "correct or remove it; 'buvar config template' has all keys",
    ),
    "BV103": (
        "the field has no default, and no file, variable or option sets it",
        "set it in the table, by the variable that is told, or by --set section.field=value",
    ),
    "BV104": (
        "it is not there, may not be read, is no UTF-8, does not parse, or is included in a circle",
        "correct the name, the rights or the line that is told; names in 'include' start at the folder of their file",
    ),
    "BV105": (
        "names of variables join section and field by '_', so that 'a.b_c' and 'a_b.c' have the same",
        "rename one of the fields or sections",
    ),
    "BV106": (
        "its name is misspelt, or the plugin that reads it is not loaded",
        "correct it, load that plugin, or remove the section",
    ),
    "BV107": (
        "it begins like those of the configuration, but it is misspelt, means a whole table, or is not in capitals",
        "correct or unset it; 'buvar config env' lists those that there are",
    ),
    "BV108": (
        "a table and a value cannot be merged; so it is for an option --set that leads through a value",
        "change one of both places that are told",
    ),
    "BV109": (
        "two classes have the same section=…",
        "name another section in one of them, or use one class in both places",
    ),
    "BV110": (
        "the variable …_FILE names a file that is not there, may not be read, or is empty; or it is empty itself",
        "correct the variable, or the file and its rights",
    ),
    "BV111": (
        "it is not of the form --set section.field=value, or sets what only files can say",
        "write the path as a key in TOML, and quote the whole for the shell; include and env_prefix go into a file",
    ),
    "BV112": (
        "the variable of a secret and its …_FILE are both set",
        "unset one of them",
    ),
    "BV113": (
        "a socket, folder, user, module or event loop that [buvar] names is not there, or not allowed",
        "create or install it, or change the setting",
    ),
    "BV201": (
        "the name of a module or function is misspelt, or its package is not installed or not on the path",
        "correct the name, install the package, or start in the folder that has it",
    ),
    "BV202": (
        "it has no async function 'prepare', or is none itself",
        "write 'async def prepare(…)', or name the function as in package.module:function",
    ),
    "BV203": (
        "its 'prepare' raised the error that is told",
        "mend it at the place that is told",
    ),
    "BV204": (
        "a plugin waits for something that does not come, in the line that is told",
        "give that a timeout, or set [buvar.timeouts] start higher",
    ),
    "BV205": (
        "two plugins load each other; the inner load returns before its plugin is prepared",
        "load from one side only, or move what both need to a third plugin",
    ),
    "BV206": (
        "it does work, or waits, before the service is ready",
        "move the work to a task, which the plugin yields; --slow SECONDS says what is long",
    ),
    "BV207": (
        "a plugin with walls exports a key that it does not provide, or that another one exports already",
        "provide it, or take it from the exports of one of them",
    ),
    "BV208": (
        "what a plugin does after its last yield, or a context that it entered, raised an error",
        "mend it at the place that is told; the teardowns of other plugins run all the same",
    ),
    "BV209": (
        "[buvar] installed names what no distribution declares as an entry point, or what two of them do",
        "correct the name, or install, or uninstall, a distribution",
    ),
    "BV210": (
        "two plugins declare different things of one name, or the declaration is refused",
        "rename one of them; those that mean the same add the same object",
    ),
    "BV211": (
        "without 'await' nothing is loaded",
        "write 'await load(…)' at the place that is told",
    ),
    "BV212": (
        "a flag, a health check or a permission is declared, but the plugin that makes something of it is not loaded",
        "load the plugin that is told, or remove the declaration",
    ),
    "BV301": (
        "no plugin that is loaded adds such a component or registers an adapter for it",
        "load the plugin that does, register an adapter, or give the parameter a default",
    ),
    "BV302": (
        "to build it, an adapter needs itself, by the way that is told",
        "have one of them ask for less, or look the other one up when it is used",
    ),
    "BV303": (
        "what lives longer, as a singleton, would keep what ends earlier, as what is built for a request",
        "give both the same lifetime, or ask for the shorter one where it is used",
    ),
    "BV304": (
        "several adapters build what the parameter takes, a base class for instance",
        "ask for one of them, or register one for the type itself",
    ),
    "BV305": (
        "it cannot be called, or it does not say what it takes and what it returns",
        "write a function that calls it, with types for all parameters and for the result",
    ),
    "BV306": (
        "what a plugin that failed would have provided or read looks as if it was missing",
        "mend the plugins that fail, and check again",
    ),
    "BV401": (
        "two plugins, or one that is loaded twice, add the same route; only the first is ever called",
        "remove one, or change its path; where a GET brings its HEAD, add it with allow_head=False",
    ),
    "BV901": (
        "a function that a plugin declared by plugin.Check raised an error, or took too long",
        "mend that function; what it looks after is not known until then",
    ),
}
