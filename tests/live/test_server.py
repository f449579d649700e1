"""Who may read a page: the user of this machine who has its address, and nobody else."""

from __future__ import annotations

import asyncio
import csv
import socket
import subprocess
import sys
from contextlib import contextmanager
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from sim.config.errors import ConfigError
from sim.config.loading.load import load_scenario
from sim.live.application import application
from sim.live.questions import Tables
from sim.live.server import ADDRESS, Guard, Server
from sim.live.state import State
from sim.study.runs.case import sides_of
from sim.study.uncertainty.uncertainty import uncertainty
from tests.live.test_state import SEED

TOKEN = "a" * 32


def requested(path="/" + TOKEN + "/", host="127.0.0.1:80", origin=None, kind="http", more=()):
    """What the guard does with a request: the status, whether the application was asked, and the headers sent."""
    seen, sent = [], []

    async def application(scope, receive, send):
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})

    async def send(message):
        sent.append(message)

    headers = [
        *([(b"host", host.encode())] if host else []),
        *([(b"origin", origin.encode())] if origin else []),
        *more,
    ]
    scope = {"type": kind, "path": path, "headers": headers}
    asyncio.run(Guard(application, TOKEN, 80)(scope, None, send))
    return sent[0], bool(seen)


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:80"])
def test_the_token_and_the_name_of_this_machine_are_let_through(host):
    answer, was_asked = requested(host=host, origin=f"http://{host}")
    assert (answer["status"], was_asked) == (200, True)
    headers = {name.decode(): value.decode() for name, value in answer["headers"]}
    assert headers["x-own"] == "1"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "connect-src 'self' ws://127.0.0.1:80 ws://localhost:80" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "request_",
    [
        {"path": "/"},
        {"path": ""},
        {"path": "/" + "b" * 32 + "/"},
        {"path": "/" + "a" * 31},
        {"path": "/" + "a" * 33},
        {"path": "/x/" + TOKEN},
        {"path": "/" + "ä" * 32},
        {"host": None},
        {"host": "example.org"},
        {"host": "127.0.0.1"},
        {"host": "127.0.0.1:81"},
        {"host": "127.0.0.1:80.example.org"},
        {"more": [(b"host", b"example.org")]},
        {"origin": "http://example.org"},
        {"origin": "https://127.0.0.1:80"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_everything_else_gets_nothing(request_):
    answer, was_asked = requested(**request_)
    assert (answer["status"], was_asked) == (404, False)
    answer, was_asked = requested(kind="websocket", **request_)
    assert (answer["type"], was_asked) == ("websocket.close", False)


def test_a_port_that_cannot_be_had_is_refused():
    server = Server(Tables(), State(SEED))
    with server.listen() as taken:
        assert taken.getsockname()[0] == ADDRESS == "127.0.0.1"
        with pytest.raises(ConfigError, match=rf"port: cannot be had: Address already in use \(got {server.port}\)"):
            Server(Tables(), State(SEED)).listen(server.port)
    with pytest.raises(ConfigError, match="port: cannot be had: no port has that number"):
        server.listen(1 << 20)


def test_each_server_has_a_token_of_its_own():
    tokens = {Server(Tables(), State(SEED)).token for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 32


@contextmanager
def running():
    """A server in a thread of this process: there is one of them in a process."""
    started = Event()
    server = Server(Tables(), State(SEED, draws=2), started=started.set)
    thread = Thread(target=server.serve, args=(server.listen(), application(server)))
    thread.start()
    assert started.wait(60)
    yield server
    server.stop()
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


def got(server, path, **headers):
    """The status and the body of a request."""
    try:
        with urlopen(Request(f"http://{ADDRESS}:{server.port}{path}", headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_a_page_is_served_to_who_has_the_token(server):
    status, page = got(server, urlsplit(server.address()).path)
    assert (status, "<title>vhost-sim explore</title>" in page) == (200, True)
    assert '<html lang="en-US"' in page
    assert got(server, "/") == (404, "not found\n")
    assert got(server, "/_nicegui/static/favicon.ico") == (404, "not found\n")
    assert got(server, f"/{server.token}/", Host="example.org") == (404, "not found\n")
    assert got(server, f"/{server.token[:-1]}/rates.csv") == (404, "not found\n")


def test_the_server_is_at_no_other_address(server):
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), server.port, socket.AF_INET)}
    for address in others - {ADDRESS}:
        with socket.socket() as stranger:
            stranger.settimeout(2)
            assert stranger.connect_ex((address, server.port)) != 0


@pytest.mark.deep
def test_what_leaves_a_page_is_what_the_commands_give(server, tmp_path):
    query = f"?scenario={SEED}&draws=2&traffic.packet_bytes=64&access=copy_user,vmap&kernel=v6.12&run.packets=20000"
    status, text = got(server, f"/{server.token}/scenario.yaml{query}")
    assert status == 200
    (tmp_path / "scenario.yaml").write_text(text, encoding="utf-8")
    assert load_scenario(tmp_path / "scenario.yaml").kernel.name == "v6.12"
    status, text = got(server, f"/{server.token}/rates.csv{query}")
    assert status == 200
    assert text.splitlines()[0].startswith("access,packet_bytes,pps")
    assert [line.split(",")[:2] for line in text.splitlines()[1:]] == [["copy_user", "64"], ["vmap", "64"]]
    status, text = got(server, f"/{server.token}/report.html{query}")
    assert (status, "vmap gains" in text) == (200, True)
    assert "vhost-sim report virtio-user-xdp1-tap --set access=copy_user,vmap" in text


@pytest.mark.deep
def test_files_have_the_numbers_that_the_page_shows(server):
    """Whoever asks for a file of an answer with 3 draws gets those 3 draws, as the command line does."""
    settings = ["traffic.packet_bytes=64", "access=copy_user,vmap", "run.packets=20000"]
    query = f"?scenario={SEED}&draws=3&{'&'.join(settings)}"
    sure = uncertainty(sides_of(load_scenario(SEED, overrides=settings)), 3)
    _, text = got(server, f"/{server.token}/rates.csv{query}")
    rows = list(csv.DictReader(text.splitlines()))
    assert [float(row["pps_90_low"]) for row in rows] == [rate.pps.low for rate in sure.rates]
    _, page = got(server, f"/{server.token}/report.html{query}")
    (gain,) = sure.gains
    assert gain.gain_percent.signed("%") in page
    assert "--draws 3 -o report.html" in page


def test_a_file_of_what_cannot_be_asked_says_why(server):
    assert got(server, f"/{server.token}/rates.csv?cpu=zen9")[0] == 400
    status, said = got(server, f"/{server.token}/scenario.yaml?scenario=/etc/passwd")
    assert (status, said.startswith("scenario: unknown scenario '/etc/passwd'")) == (400, True)
    assert said.count("\n") == 1


def test_without_the_extra_one_line_says_what_to_install():
    code = (
        "import sys\nsys.modules['nicegui'] = None\nfrom sim.cli import main\n"
        "sys.argv = ['vhost-sim', 'explore', '--no-browser']\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vhost-sim: a page that answers: nicegui is not installed; pip install 'vhost-sim[explore]'\n"
