"""Fetching: the pinned bytes or an error, whatever the server does."""

import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from envguard.model.digest import Digest
from envguard.model.errors import IntegrityError, LimitError, UnreadableError
from envguard.model.package import Archive
from envguard.wheels import fetch as fetch_module
from envguard.wheels.fetch import fetch
from envguard.wheels.vault import Vault
from tests.support import file_server
from tests.support.file_server import FileServer, serving

DATA = b"wheel" * 100_000
NAME = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def server():
    with serving() as running:
        running.files[f"/{NAME}"] = DATA
        yield running


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture(autouse=True)
def _quick_and_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(fetch_module, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def pinned(server: FileServer, name: str = NAME, data: bytes = DATA, **more: object) -> Archive:
    fields: dict[str, object] = {
        "filename": name,
        "url": server.url(f"/{name}"),
        "size": len(data),
        "digests": (Digest.of(data),),
    }
    return Archive(**(fields | more))  # type: ignore[arg-type]


def left(vault: Vault) -> list[Path]:
    return [path for path in vault.folder.rglob("*") if path.is_file()]


def test_fetches_once_and_keeps_the_order(server: FileServer, vault: Vault):
    archives = []
    for number in range(20):
        data = b"%d" % number * 1000
        server.files[f"/{number}.whl"] = data
        archives.append(pinned(server, f"{number}.whl", data))
    archives.append(archives[3])
    paths = fetch(archives, vault)
    assert [path.read_bytes() for path in paths] == [
        server.files[f"/{archive.filename}"] for archive in archives
    ]
    assert fetch(archives, vault, offline=True) == paths
    assert set(server.requests.values()) == {1}


def test_tells_its_progress(server: FileServer, vault: Vault):
    told: list[tuple[str, int, int | None]] = []
    server.faults[f"/{NAME}"] = file_server.short(times=1)
    fetch([pinned(server)], vault, progress=lambda *step: told.append(step))
    assert told[0] == ("fetching wheels", 0, len(DATA))
    assert told[-1] == ("fetching wheels", len(DATA), len(DATA))
    assert max(done for _, done, _ in told) == len(DATA)
    assert fetch([pinned(server)], vault, progress=lambda *step: told.append(step))


@pytest.mark.parametrize(
    "fault",
    [
        file_server.status(503, times=3),
        file_server.status(429, times=1),
        file_server.short(times=2),
        file_server.unframed(),
        file_server.unframed(cut=10, times=1),
    ],
    ids=["503", "429", "short", "unframed", "unframed and short"],
)
def test_tries_again(fault, server: FileServer, vault: Vault):
    server.faults[f"/{NAME}"] = fault
    [path] = fetch([pinned(server)], vault)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (file_server.status(500), "the server answered 500"),
        (file_server.short(), "could not be fetched from 127.0.0.1"),
        (file_server.unframed(cut=1), "ended after 499999 of 500000 bytes"),
        (file_server.status(403), "the server answered 403"),
        (file_server.status(204), "the server answered 204"),
        (file_server.redirect(f"/{NAME}"), "redirects more than 5 times"),
        (file_server.redirect("ftp://index.example/x"), "cannot be fetched"),
        (file_server.redirect("http://user:secret@index.example/x"), "carries credentials"),
    ],
)
def test_gives_up_with_a_reason(fault, says: str, server: FileServer, vault: Vault):
    server.faults[f"/{NAME}"] = fault
    with pytest.raises(UnreadableError) as raised:
        fetch([pinned(server)], vault)
    assert says in raised.value.message
    assert "secret" not in f"{raised.value}{raised.value.hint}{raised.value.found}"
    assert left(vault) == []


def test_absent_files_come_with_a_hint(server: FileServer, vault: Vault):
    with pytest.raises(UnreadableError, match="404") as raised:
        fetch([pinned(server, "absent.whl")], vault)
    assert raised.value.hint


@pytest.mark.parametrize("size", [len(DATA), None])
def test_wrong_bytes(size: int | None, server: FileServer, vault: Vault):
    server.files[f"/{NAME}"] = DATA[:-1] + b"?"
    with pytest.raises(IntegrityError) as raised:
        fetch([pinned(server, size=size)], vault)
    assert raised.value.where == NAME
    assert raised.value.expected == str(Digest.of(DATA))
    assert raised.value.found == str(Digest.of(DATA[:-1] + b"?"))
    assert server.requests[f"/{NAME}"] == 1
    assert left(vault) == []


@pytest.mark.parametrize("data", [DATA + b"!", DATA[:-1], b""])
def test_wrong_size(data: bytes, server: FileServer, vault: Vault):
    server.files[f"/{NAME}"] = data
    with pytest.raises(IntegrityError, match="not as large"):
        fetch([pinned(server)], vault)
    assert left(vault) == []


def test_an_endless_body_ends_at_the_pinned_size(
    server: FileServer, vault: Vault, monkeypatch: pytest.MonkeyPatch
):
    server.faults[f"/{NAME}"] = file_server.endless
    with pytest.raises(IntegrityError, match="not as large"):
        fetch([pinned(server)], vault)
    monkeypatch.setattr(fetch_module, "_SIZE_LIMIT", 1 << 20)
    with pytest.raises(LimitError, match="too large"):
        fetch([pinned(server, size=None)], vault)


def test_all_failures_are_named_and_wrong_bytes_weigh_most(server: FileServer, vault: Vault):
    server.files["/wrong.whl"] = b"wrong"
    archives = [
        pinned(server),
        pinned(server, "absent.whl", b"1"),
        pinned(server, "wrong.whl", b"right"),
    ]
    with pytest.raises(IntegrityError) as raised:
        fetch(archives, vault)
    assert "absent.whl" in raised.value.message
    assert "wrong.whl" in raised.value.message
    assert str(Digest.of(b"right")) in raised.value.message
    assert vault.has(Digest.of(DATA))


def test_offline_names_every_missing_file(server: FileServer, vault: Vault):
    archives = [pinned(server, f"{n}.whl", b"%d" % n) for n in range(3)]
    with pytest.raises(UnreadableError) as raised:
        fetch(archives, vault, offline=True)
    assert all(f"{n}.whl" in raised.value.message for n in range(3))
    assert not server.requests


def test_unpinned_files_are_not_fetched(server: FileServer, vault: Vault):
    with pytest.raises(UnreadableError, match="not pinned"):
        fetch([pinned(server, digests=()), pinned(server)], vault)
    assert not server.requests


def test_every_algorithm_must_agree(server: FileServer, vault: Vault):
    right = Digest("sha512", hashlib.sha512(DATA).hexdigest())
    wrong = Digest("sha512", hashlib.sha512(b"").hexdigest())
    [path] = fetch([pinned(server, digests=(right, Digest.of(DATA)))], vault)
    assert path == vault.path(Digest.of(DATA))
    for _ in range(2):  # fetched or found in the vault: the same answer
        with pytest.raises(IntegrityError):
            fetch([pinned(server, digests=(wrong, Digest.of(DATA)))], vault)
    assert fetch([pinned(server, digests=(right,))], vault) == [vault.path(right)]


def test_local_files(server: FileServer, vault: Vault, tmp_path: Path):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "a b.whl").write_bytes(DATA)
    relative = pinned(server, url=None, path="wheels/a b.whl")
    assert fetch([relative], vault, base=tmp_path, offline=True)[0].read_bytes() == DATA
    vault.discard(Digest.of(DATA))
    by_url = pinned(server, url=(tmp_path / "wheels" / "a b.whl").as_uri())
    assert fetch([by_url], vault, base=tmp_path, offline=True)[0].read_bytes() == DATA
    vault.discard(Digest.of(DATA))
    for archive in (relative, by_url):
        (tmp_path / "wheels" / "a b.whl").write_bytes(DATA[::-1])
        with pytest.raises(IntegrityError):
            fetch([archive], vault, base=tmp_path)
    with pytest.raises(UnreadableError, match="cannot be opened"):
        fetch([pinned(server, url=None, path="absent.whl")], vault, base=tmp_path)
    with pytest.raises(UnreadableError, match="not in the vault"):
        fetch([relative], vault)


@pytest.mark.parametrize("place", ["above", "absent", "by a link", "by URL", "no base"])
def test_local_files_elsewhere_are_not_looked_at(place: str, vault: Vault, tmp_path: Path):
    folder = tmp_path / "lock"
    folder.mkdir()
    secret = tmp_path / "secret.whl"
    secret.write_bytes(DATA)
    base: Path | None = folder
    archive = {"digests": (Digest.of(DATA),), "size": 1}
    match place:
        case "above":
            archive["path"] = "../secret.whl"
        case "absent":
            archive["path"] = "../absent.whl"
        case "by a link":
            (folder / "link.whl").symlink_to(secret)
            archive["path"] = "link.whl"
        case "by URL":
            archive["url"] = secret.as_uri()
        case "no base":
            archive["url"], base = secret.as_uri(), None
    with pytest.raises(UnreadableError, match="does not lie below the folder") as raised:
        fetch([Archive(**archive)], vault, base=base)  # type: ignore[arg-type]
    assert raised.value.hint
    assert str(len(DATA)) not in f"{raised.value} {raised.value.found}"


def test_one_cause_is_told_once(server: FileServer, vault: Vault):
    archives = [pinned(server, f"{n}.whl", b"%d" % n) for n in range(11)]
    with pytest.raises(UnreadableError) as raised:
        fetch(archives, vault)
    assert raised.value.message.count("404") == 1
    assert raised.value.message.startswith("11 files cannot be used: 11 files:")
    assert all(f"{n}.whl" in raised.value.message for n in range(11))
    assert "no longer has" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://index.invalid/", "could not be fetched from index.invalid: name resolution"),
        ("http://127.0.0.1:1/", "could not be fetched from 127.0.0.1: no connection"),
    ],
)
def test_a_network_that_is_not_there(
    url: str, cause: str, server: FileServer, vault: Vault, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("no_proxy", "*")
    archives = [pinned(server, f"{n}.whl", b"%d" % n, url=f"{url}{n}.whl") for n in range(3)]
    with pytest.raises(UnreadableError) as raised:
        fetch(archives, vault)
    assert raised.value.message.count(cause) == 1
    assert "proxy" in str(raised.value.hint)


def test_requirements_digests_are_found_in_the_vault_only(vault: Vault):
    digests = tuple(Digest.of(data) for data in (DATA, b"another wheel", b"source"))
    archive = Archive(digests=digests)
    with pytest.raises(UnreadableError, match="pinned by 3 digests"):
        fetch([archive], vault)
    (vault.folder / "sha256").mkdir(parents=True)
    vault.path(digests[1]).write_bytes(b"another wheel")
    assert fetch([archive], vault) == [vault.path(digests[1])]


def test_credentials_in_a_url_are_refused_and_not_shown(server: FileServer, vault: Vault):
    url = server.url(f"/{NAME}").replace("://", "://user:secret@")
    with pytest.raises(UnreadableError, match="credentials") as raised:
        fetch([pinned(server, url=url)], vault)
    assert "secret" not in f"{raised.value} {raised.value.hint}"


def test_credentials_of_netrc_stay_with_their_host(
    server: FileServer, vault: Vault, tmp_path: Path
):
    (tmp_path / "netrc").write_text(
        "machine 127.0.0.1 login me password secret\ndefault login all password other\n"
    )
    with serving() as other:
        other.files["/there.whl"] = DATA
        server.faults[f"/{NAME}"] = file_server.redirect("/here.whl")
        server.faults["/here.whl"] = file_server.redirect(other.url("/there.whl"))
        other.faults["/there.whl"] = file_server.redirect(server.url("/last.whl"))
        server.files["/last.whl"] = DATA
        fetch([pinned(server)], vault)
        assert other.credentials == [("/there.whl", None)]
    sent = dict(server.credentials)
    assert sent[f"/{NAME}"] == sent["/here.whl"] == "Basic bWU6c2VjcmV0"
    assert sent["/last.whl"] is None


def test_uses_the_proxy_of_the_environment(
    server: FileServer, vault: Vault, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{server.port}")
    monkeypatch.setenv("no_proxy", "")
    url = "http://index.example/demo.whl"
    server.files[url] = DATA
    assert fetch([pinned(server, url=url)], vault)[0].read_bytes() == DATA


def test_untrusted_connections_are_not_tried_again(
    server: FileServer, vault: Vault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "absent.pem"))
    with pytest.raises(UnreadableError, match="holds no certificates"):
        fetch([pinned(server)], vault)


FETCHER = """
import sys
from pathlib import Path
from envguard.model.digest import Digest
from envguard.model.package import Archive
from envguard.wheels.fetch import fetch
from envguard.wheels.vault import Vault
archives = []
for number in range(10):
    data = bytes([number]) * 500_000
    url = f"http://127.0.0.1:{sys.argv[2]}/{number}.whl"
    archives.append(Archive(url=url, size=len(data), digests=(Digest.of(data),)))
fetch(archives, Vault(Path(sys.argv[1])))
"""


def test_processes_share_a_vault_and_some_are_killed(server: FileServer, vault: Vault):
    server.files.update({f"/{number}.whl": bytes([number]) * 500_000 for number in range(10)})
    command = [sys.executable, "-c", FETCHER, str(vault.folder), str(server.port)]
    processes = [subprocess.Popen(command) for _ in range(8)]
    for process in processes[::2]:
        threading.Timer(0.4, process.kill).start()
    assert [process.wait(60) for process in processes[1::2]] == [0, 0, 0, 0]
    for process in processes[::2]:
        process.wait(60)
    held = list(vault.digests())
    assert len(held) == 10
    for digest in held:
        vault.verify(digest)


def test_an_interrupt_stops_the_downloads(
    server: FileServer, vault: Vault, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(_jobs: object) -> None:
        raise KeyboardInterrupt

    server.faults[f"/{NAME}"] = file_server.endless
    monkeypatch.setattr(fetch_module, "wait", interrupted)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch([pinned(server, size=None)], vault)
    assert time.monotonic() - start < 10
    assert left(vault) == []
