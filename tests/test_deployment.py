"""What the page on deployment shows: the files are whole, agree with each other, and ask for what there is."""

import configparser
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import textwrap
import tomllib

import attrs
import click
import pytest

from buvar import cli
from buvar.cli.settings import Settings
from buvar.config import ConfigSource
from buvar.forking import uri

DOCS = pathlib.Path(__file__).parent.parent / "docs"
DEPLOY = DOCS / "deploy"
PAGE = (DOCS / "deployment.md").read_text()
MANIFEST = (DEPLOY / "kubernetes.yaml").read_text()
BUVAR = "/srv/shop/venv/bin/buvar"

# what `[buvar]` and the command line are to have
KEYS_TO_COME = {"control", "pid_file", "user", "group"} - {field.name for field in attrs.fields(Settings)}
VERBS_TO_COME = {"status", "reload", "stop"} - {*cli.VERBS}


def unit(name):
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#", ";"))
    parser.optionxform = str
    parser.read(DEPLOY / name)
    return parser


def blocks(kind):
    """Return the code blocks of the page that are of that kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def manifest_toml():
    """Return the configuration in the manifest."""
    text = re.search(r"^  shop\.toml: \|\n((?:    .*\n|\n)+)", MANIFEST, re.MULTILINE)[1]
    return textwrap.dedent(text)


def number(field):
    return int(re.search(rf"^ +{field}: (\d+)$", MANIFEST, re.MULTILINE)[1])


CONFIGURATIONS = {
    "shop.toml": (DEPLOY / "shop.toml").read_text(),
    "kubernetes.yaml": manifest_toml(),
    **{f"block {index}": text for index, text in enumerate(blocks("toml"))},
}


def settings(name):
    table = tomllib.loads(CONFIGURATIONS[name])["buvar"]
    return ConfigSource({"buvar": {key: table[key] for key in table if key not in KEYS_TO_COME}}).load(
        Settings, "buvar"
    )


def commands():
    """Return all commands of ours in the files and on the page, without the program."""
    service = unit("shop.service")["Service"]
    yield from (shlex.split(service[key])[1:] for key in service if key.startswith("Exec"))
    for text in ((DEPLOY / "Dockerfile").read_text(), MANIFEST):
        yield re.findall(r'"([^"]*)"', re.search(r'(?:CMD|command:) \["buvar".*', text)[0])[1:]
    yield re.search(r"-- buvar ([a-z -]+)`", PAGE)[1].split()


# -- ours


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_configuration_fits(name):
    """What stands in `[buvar]` is known, and of the right kind; its sockets are addresses."""
    found = settings(name)
    assert [str(uri.parse(each)) for each in found.sockets]


@pytest.mark.parametrize("arguments", list(commands()), ids=" ".join)
def test_each_command_is_one_of_ours(arguments):
    """Each command has a verb and options that there are."""
    verb, *rest = arguments
    if verb in VERBS_TO_COME:
        pytest.skip("it is not there yet")
    command = cli.main.get_command(click.Context(cli.main), verb)
    assert command is not None
    command.make_context(verb, rest)


@pytest.mark.parametrize("name", ["shop.toml", "kubernetes.yaml"])
def test_a_stop_leaves_time_for_its_steps(name):
    """A worker is killed later than its tasks are cancelled and what they left is torn down."""
    timeouts = settings(name).timeouts
    assert timeouts.shutdown > timeouts.cancel + timeouts.teardown


# -- systemd


def test_limits_of_systemd_are_longer_than_ours():
    """systemd kills nobody whom the supervisor still has patience with, be it a start, a reload or a stop."""
    found, service = settings("shop.toml"), unit("shop.service")["Service"]
    assert int(service["TimeoutStopSec"]) > found.timeouts.shutdown
    assert int(service["TimeoutStartSec"]) > found.timeouts.start * (found.workers + 1)


def test_the_socket_is_the_one_that_is_configured():
    """systemd, the configuration and nginx have one address."""
    (configured,) = settings("shop.toml").sockets
    path = unit("shop.socket")["Socket"]["ListenStream"]
    assert uri.parse(configured).path == path
    assert f"server unix:{path};" in (DEPLOY / "nginx.conf").read_text()


def test_the_control_socket_is_in_a_folder_that_there_is():
    """systemd makes the folder of the control socket, and its reload asks by that socket."""
    control = pathlib.Path(tomllib.loads(CONFIGURATIONS["shop.toml"])["buvar"]["control"])
    service = unit("shop.service")["Service"]
    assert control.parent == pathlib.Path("/run", service["RuntimeDirectory"])
    assert shlex.split(service["ExecReload"])[-2:] == ["--control", str(control)]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_takes_the_units(tmp_path):
    """systemd finds nothing wrong with the units, where the program is there."""
    for name in ("shop.service", "shop.socket"):
        (tmp_path / name).write_text((DEPLOY / name).read_text().replace(BUVAR, sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "shop.service", "shop.socket"],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "shop." in line] == []
    assert done.returncode == 0, done.stderr


def test_a_unix_socket_that_is_passed_is_the_one_that_is_asked_for(run_service, tmp_path):
    """With socket activation a socket of the same path is not bound once more, and its file stays at the end."""
    path = tmp_path / "s"
    script = tmp_path / "managed.py"
    script.write_text(f"{run_service.serve}\nfork.stage(serve, forks=2, sockets=['unix://{path}?mode=660'])\n")
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        launch = f"""
import os, sys
os.dup2({theirs.fileno()}, 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-W", "error", {str(script)!r}])
"""
        service = run_service(command=[sys.executable, "-c", launch], pass_fds=[theirs.fileno()])
        service.ready()
        assert run_service.ask(service.address)[1] == "hello"
        assert service.stop() == 0
    assert len(service.events("listening")) == 1
    assert path.exists()


# -- Kubernetes and containers


def test_kubernetes_waits_longer_than_we_do():
    """The grace period has room for `preStop` and for the stop; a start may take as long as the service lets it."""
    timeouts = settings("kubernetes.yaml").timeouts
    pause = int(re.search(r'\["sleep", "(\d+)"\]', MANIFEST)[1])
    assert number("terminationGracePeriodSeconds") > pause + timeouts.shutdown
    # the first of each is that of the startup probe
    assert number("periodSeconds") * number("failureThreshold") > timeouts.start


def test_kubernetes_asks_where_the_service_listens():
    """The port of the container is that of the socket, on all addresses."""
    (configured,) = settings("kubernetes.yaml").sockets
    assert (uri.parse(configured).host, uri.parse(configured).port) == ("0.0.0.0", number("containerPort"))


def test_the_image_and_the_manifest_agree():
    """Both run one command, as one user, by its number: otherwise Kubernetes could not tell that it is not root."""
    docker = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^CMD (.*)$", docker, re.MULTILINE)[1] == re.search(r'command: (\["buvar.*)', MANIFEST)[1]
    assert re.search(r"^USER (\d+)$", docker, re.MULTILINE)[1] == str(number("runAsUser"))


def test_the_manifest_is_in_order():
    """Steps are of two spaces, without tabs, and each object has a kind and a name."""
    for text in MANIFEST.split("\n---\n"):
        lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert all((len(line) - len(line.lstrip(" "))) % 2 == 0 and "\t" not in line for line in lines)
        assert [line.partition(":")[0] for line in lines if line[0] != " "][:3] == ["apiVersion", "kind", "metadata"]
        assert "  name: shop" in lines


def test_the_manifest_fits_together():
    """What an object of the manifest refers to is there: labels, ports, volumes and the configuration."""
    yaml = pytest.importorskip("yaml")
    config, deployment, service = yaml.safe_load_all(MANIFEST)
    assert [each["kind"] for each in (config, deployment, service)] == ["ConfigMap", "Deployment", "Service"]
    assert config["data"]["shop.toml"] == manifest_toml()
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    (container,) = template["spec"]["containers"]
    ports = {each["name"] for each in container["ports"]}
    assert {each["targetPort"] for each in service["spec"]["ports"]} <= ports
    probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    assert {each["httpGet"]["port"] for each in probes} <= ports
    volumes = {each["name"]: each for each in template["spec"]["volumes"]}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts.keys() == volumes.keys()
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
    assert container["command"][-1] == f"{mounts['config']}/shop.toml"


# -- nginx, and the page


def test_the_configuration_of_nginx_is_whole():
    """Each line opens or closes a block, ends a directive or is a comment, and all blocks are closed."""
    depth = 0
    for line in (DEPLOY / "nginx.conf").read_text().splitlines():
        code = line.strip()
        assert not code or code[0] == "#" or code[-1] in ";{}"
        depth += code.endswith("{") - (code == "}")
        assert depth >= 0
    assert depth == 0


def test_the_page_links_to_each_file():
    """Each file is linked from the page, and each link leads to a file."""
    linked = set(re.findall(r"\]\(([^)#]+)\)", PAGE))
    assert {f"deploy/{file.name}" for file in DEPLOY.iterdir()} <= linked
    assert all((DOCS / each).exists() for each in linked)


def test_what_the_page_shows_is_in_the_files():
    """Each line of a file that the page shows stands in it, and each field of the manifest that it explains."""
    lines = {line.strip() for file in DEPLOY.iterdir() for line in file.read_text().splitlines()}
    shown = {line for kind in ("ini", "dockerfile") for text in blocks(kind) for line in text.splitlines()}
    cells = set(re.findall(r"^\| `([^`]+)`", PAGE, re.MULTILINE))
    assert len(shown) >= 7
    assert len(cells) >= 12
    assert shown | {each for each in cells if "=" in each or ": " in each} <= lines
    assert [each for each in cells if each not in MANIFEST and each not in lines] == []
