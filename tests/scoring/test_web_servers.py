"""Web servers that send elsewhere, list what is not theirs, never end, or whose address holds a secret."""

import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pellucid.data.images import MAX_BYTES, Preprocessing
from pellucid.errors import DataError
from pellucid.scoring import web
from pellucid.scoring.inputs import find_inputs
from pellucid.scoring.part import read
from pellucid.scoring.web import without_secrets

PREPROCESSING = Preprocessing(32, 3, "center")
pytestmark = pytest.mark.filterwarnings("default")  # fsspec leaves its session to the garbage collector

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Answers by path; whatever else is asked for is not there."""

    answers: dict[str, Answer] = field(default_factory=dict)
    otherwise: Answer | None = None
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving() -> Iterator[Server]:
    told = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            told.asked.append(self.path)
            told.headers.append(dict(self.headers))
            answer = told.answers.get(self.path, told.otherwise)
            try:
                if answer is None:
                    self.send_error(404)
                else:
                    answer(self)
            except OSError:
                self.close_connection = True  # the client has had enough

        do_HEAD = do_GET  # noqa: N815

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as told:
        yield told


@pytest.fixture
def other() -> Iterator[Server]:
    """Another host, such as one that only this machine reaches."""
    with serving() as told:
        yield told


def page(*links: str) -> Answer:
    return content("".join(f'<a href="{link}">x</a>' for link in links).encode(), "text/html")


def content(body: bytes, kind: str = "image/jpeg", **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)

    return answer


def redirect(place: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def endless(sent: list[int], kind: str) -> Answer:
    """Goes on for as long as somebody listens, without ranges and without a length."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        while handler.command == "GET":
            handler.wfile.write(bytes(1 << 20))
            sent[0] += 1 << 20

    return answer


def rows(url: str) -> dict[str, object]:
    return {name: item for part in find_inputs([url], PREPROCESSING).parts for name, item in read(part)}


def test_no_other_host_is_asked_because_a_server_says_so(server: Server, other: Server) -> None:
    other.answers["/secret.jpg"] = content(b"secret")
    server.answers["/"] = page("a.jpg", "b.jpg", "c.jpg")
    server.answers["/a.jpg"] = redirect(f"{other.address}/secret.jpg")
    server.answers["/b.jpg"] = redirect("http://169.254.169.254/latest/meta-data/")
    server.answers["/c.jpg"] = redirect("/here.jpg")
    server.answers["/here.jpg"] = content(b"picture")
    found = rows(f"{server.address}/")
    assert found[f"{server.address}/c.jpg"] == b"picture"
    assert str(other.port) in str(found[f"{server.address}/a.jpg"])
    assert "name that address" in str(found[f"{server.address}/a.jpg"])
    assert "169.254.169.254" in str(found[f"{server.address}/b.jpg"])
    assert not other.asked
    for path in ("/list/", "/shard.tar", "/alone.jpg"):
        server.answers[path] = redirect(f"{other.address}{path}")
        with pytest.raises(DataError, match="sends on to"):
            find_inputs([f"{server.address}{path}"], PREPROCESSING)
    assert not other.asked


def test_no_link_of_a_listing_leads_out_of_the_folder(server: Server, other: Server) -> None:
    out = ["../secret.jpg", "..%2Fsecret.jpg", "%2e%2e/secret.jpg", "%252e%252e/secret.jpg", "..\\secret.jpg"]
    out += [
        "/secret.jpg",
        f"{other.address}/secret.jpg",
        "//evil.example/secret.jpg",
        "deep/../../secret.jpg",
    ]
    order = ["?C=N;O=D", "?C=M;O=A", "#top", "./", "../", "/"]
    server.answers["/photos/"] = page("a.jpg", "with%20blank.jpg", "deep/", *out, *order)
    server.answers["/photos/deep/"] = page("b.jpg", "../", "../../secret.jpg")
    for path in ("/photos/a.jpg", "/photos/with%20blank.jpg", "/photos/deep/b.jpg"):
        server.answers[path] = content(b"picture")
    server.otherwise = content(b"secret")
    found = rows(f"{server.address}/photos/")
    names = {name.removeprefix(f"{server.address}/photos/") for name in found}
    assert names == {"a.jpg", "with%20blank.jpg", "deep/b.jpg"}
    assert set(found.values()) == {b"picture"}
    assert not other.asked
    assert set(rows(f"{server.address}/photos/*/*.jpg")) == {f"{server.address}/photos/deep/b.jpg"}
    assert set(rows(f"{server.address}/photos/*.jpg")) < set(found)
    assert set(rows(f"{server.address}/photos/**/*.jpg")) >= {f"{server.address}/photos/deep/b.jpg"}


def test_folders_without_end_are_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_FOLDERS", 30)
    server.otherwise = lambda handler: page("deeper/", "a.jpg")(handler)
    for place in ("/", "/**/*.jpg"):
        server.asked.clear()
        with pytest.raises(DataError, match="more than 30 folders"):
            find_inputs([f"{server.address}{place}"], PREPROCESSING)
        assert len(server.asked) < 40


def test_folders_that_contain_each_other_are_listed_once(server: Server) -> None:
    server.answers["/x/"] = page("../x/", "./", "y/", "a.jpg")
    server.answers["/x/y/"] = page("/x/", "../", "b.jpg")
    server.otherwise = content(b"picture")
    assert len(rows(f"{server.address}/x/")) == 2


def test_a_page_without_end_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_ANSWER_BYTES", 4 << 20)
    sent = [0]
    server.answers["/"] = endless(sent, "text/html")
    with pytest.raises(DataError, match="more than 4,194,304 bytes"):
        find_inputs([f"{server.address}/"], PREPROCESSING)
    assert sent[0] < 64 << 20


def test_a_picture_without_end_is_read_to_the_limit(server: Server) -> None:
    """The server takes no notice of the range that is asked for."""
    sent = [0]
    server.answers["/"] = page("huge.jpg", "fine.jpg")
    server.answers["/huge.jpg"] = endless(sent, "image/jpeg")
    server.answers["/fine.jpg"] = content(b"picture")
    found = rows(f"{server.address}/")
    huge = found[f"{server.address}/huge.jpg"]
    assert isinstance(huge, bytes)
    assert len(huge) == MAX_BYTES + 1  # one more than is decoded, so that the row says so
    assert sent[0] < 2 * MAX_BYTES
    assert found[f"{server.address}/fine.jpg"] == b"picture"


def test_a_compressed_answer_is_not_unpacked(server: Server) -> None:
    packed = gzip.compress(bytes(50 << 20))
    server.answers["/"] = page("a.jpg")
    server.answers["/a.jpg"] = content(packed, Content_Encoding="gzip")
    assert rows(f"{server.address}/")[f"{server.address}/a.jpg"] == packed
    assert {headers.get("Accept-Encoding") for headers in server.headers} == {"identity"}


SECRET = "hunter2"


def test_no_password_and_no_signature_is_told_anywhere(server: Server) -> None:
    server.answers["/"] = page("a.jpg", f"b.jpg?sig={SECRET}", "gone.jpg", "cut.tar", "cut.parquet")
    server.answers["/a.jpg"] = content(b"picture")
    server.answers[f"/b.jpg?sig={SECRET}"] = content(b"signed")
    server.answers["/cut.tar"] = content(b"no archive", "application/x-tar")
    server.answers["/cut.parquet"] = content(b"no table", "application/x-parquet")
    begin = f"http://user:{SECRET}@127.0.0.1:{server.port}"
    with pytest.raises(DataError, match="Parquet") as raised:
        find_inputs([f"{begin}/"], PREPROCESSING)
    assert SECRET not in str(raised.value)
    server.answers["/"] = page("a.jpg", f"b.jpg?sig={SECRET}", "gone.jpg", "cut.tar")
    inputs = find_inputs([f"{begin}/"], PREPROCESSING)
    found = {name: item for part in inputs.parts for name, item in read(part)}
    assert found[f"{server.address}/a.jpg"] == b"picture"
    assert found[f"{server.address}/b.jpg"] == b"signed"
    assert "gone.jpg" in " ".join(found)
    assert len(found) == 4
    assert SECRET not in repr({name: item for name, item in found.items() if isinstance(item, str)})
    assert SECRET not in " ".join(found)
    assert any(headers.get("Authorization", "").startswith("Basic") for headers in server.headers)
    for wrong in ("/nothing/", f"/nothing.jpg?sig={SECRET}", "/nothing.tar"):
        with pytest.raises(DataError) as raised:
            find_inputs([begin + wrong], PREPROCESSING)
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://u:p@host/a.jpg?sig=1#x", "https://host/a.jpg"),
        ("cannot open https://u:p@host/a?b, sorry", "cannot open https://host/a sorry"),
        ("ftp://u:p@host/what?.jpg", "ftp://host/what?.jpg"),
        ("s3://bucket/what?.jpg", "s3://bucket/what?.jpg"),
        ("a@b.example/x?y", "a@b.example/x?y"),
        ("https://host/user@home.jpg", "https://host/user@home.jpg"),
    ],
)
def test_addresses_are_told_without_secrets(text: str, told: str) -> None:
    assert without_secrets(text) == told
