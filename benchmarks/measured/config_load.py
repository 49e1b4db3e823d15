"""Time the loading of a configuration: one TOML file, three variables, fifty fields in five sections.

The argument says by what: ``buvar`` (whichever this interpreter imports), ``hand``, ``pydantic``, ``typed`` or
``dynaconf``. Answers each line on stdin, a number of seconds, with one line: the microseconds that one load takes, in a
loop of about so long. All is warm but the file and the environment, which are read each time.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile
import timeit
import tomllib
import typing as t

SECTIONS: t.Final = ("db", "cache", "http", "mail", "jobs")
FIELDS: t.Final[dict[str, tuple[t.Any, str]]] = {
    "host": (str, '"db.example.org"'),
    "port": (int, "5432"),
    "timeout": (float, "2.5"),
    "verbose": (bool, "true"),
    "user": (str, '"me"'),
    "retries": (int, "3"),
    "tags": (list[str], '["a", "b", "c"]'),
    "limits": (dict[str, int], "{cpu = 4, memory = 512}"),
    "path": (str, '"/srv/data"'),
    "ratio": (float, "0.75"),
}
VARIABLES: t.Final = {("db", "port"): "6000", ("http", "timeout"): "9.5", ("mail", "host"): "mail.example.org"}


def document(above: str = "") -> str:
    """Return the file; *above* goes before the names of sections."""
    lines = "\n".join(f"{name} = {value}" for name, (_, value) in FIELDS.items())
    return "\n".join(f"[{above}{section}]\n{lines}\n" for section in SECTIONS)


def classes() -> dict[str, t.Any]:
    """Return an attrs class for each section."""
    import attrs

    fields = {name: attrs.field(type=kind) for name, (kind, _) in FIELDS.items()}
    return {section: attrs.make_class(section.title(), fields, frozen=True) for section in SECTIONS}


def buvar(path: str) -> t.Callable[[], dict[str, t.Any]]:
    import structlog

    from buvar.config import ConfigSource

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # upstream's tells all that it reads
    sections = classes()
    read = getattr(ConfigSource, "read", None)

    def load() -> dict[str, t.Any]:
        if read is not None:
            source = read(path, env_prefix="APP")
        else:  # upstream's is given what was read
            with open(path, "rb") as stream:
                source = ConfigSource(tomllib.load(stream), env_prefix="APP")
        return {name: source.load(cls, name) for name, cls in sections.items()}

    return load


def hand(path: str) -> t.Callable[[], dict[str, t.Any]]:
    import cattrs

    sections, converter = classes(), cattrs.Converter()
    variables = {f"APP_{section}_{name}".upper(): (section, name) for section in SECTIONS for name in FIELDS}

    def load() -> dict[str, t.Any]:
        with open(path, "rb") as stream:
            values = tomllib.load(stream)
        for variable, (section, name) in variables.items():
            if variable in os.environ:
                values.setdefault(section, {})[name] = os.environ[variable]
        return {name: converter.structure(values.get(name, {}), cls) for name, cls in sections.items()}

    return load


def pydantic(path: str) -> t.Callable[[], dict[str, t.Any]]:
    import pydantic
    import pydantic_settings

    section = pydantic.create_model("Section", **{name: (kind, ...) for name, (kind, _) in FIELDS.items()})

    class Base(pydantic_settings.BaseSettings):
        model_config = pydantic_settings.SettingsConfigDict(
            env_prefix="APP_", env_nested_delimiter="_", env_nested_max_split=1, toml_file=path
        )

        @classmethod
        def settings_customise_sources(cls, settings_cls: t.Any, **sources: t.Any) -> t.Any:
            return sources["env_settings"], pydantic_settings.TomlConfigSettingsSource(settings_cls)

    settings = pydantic.create_model("Settings", __base__=Base, **dict.fromkeys(SECTIONS, (section, ...)))

    def load() -> dict[str, t.Any]:
        return vars(settings())

    return load


def typed(path: str) -> t.Callable[[], dict[str, t.Any]]:
    import attrs
    import typed_settings

    pathlib.Path(path).write_text(document("app."))
    settings = attrs.make_class("Settings", {name: attrs.field(type=cls) for name, cls in classes().items()})

    def load() -> dict[str, t.Any]:
        loaded = typed_settings.load(settings, "app", config_files=[path], env_prefix="APP_")
        return {name: getattr(loaded, name) for name in SECTIONS}

    return load


def dynaconf(path: str) -> t.Callable[[], dict[str, t.Any]]:
    import dynaconf

    for section, name in VARIABLES:
        os.environ[f"APP_{section}__{name}".upper()] = os.environ.pop(f"APP_{section}_{name}".upper())

    def load() -> dict[str, t.Any]:
        settings = dynaconf.Dynaconf(settings_files=[path], envvar_prefix="APP")
        return {name: settings[name] for name in SECTIONS}

    return load


def main() -> None:
    makers = {made.__name__: made for made in (buvar, hand, pydantic, typed, dynaconf)}
    os.environ |= {f"APP_{section}_{name}".upper(): value for (section, name), value in VARIABLES.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "config.toml")
        path.write_text(document())
        load = makers[sys.argv[1]](str(path))
        loaded = load()
        db, http, mail = loaded["db"], loaded["http"], loaded["mail"]
        assert (db.port, http.timeout, mail.host, mail.limits["cpu"]) == (6000, 9.5, "mail.example.org", 4)
        timer = timeit.Timer(load)
        once = min(timer.repeat(repeat=5, number=2)) / 2
        print("load", flush=True)
        for line in sys.stdin:
            number = max(1, int(float(line.rpartition("\t")[2]) / once))
            print(timer.timeit(number) / number * 1e6, flush=True)


if __name__ == "__main__":
    main()
