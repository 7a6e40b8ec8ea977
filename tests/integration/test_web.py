"""lom-web as a door: TLS, limits, cookies, websockets, events, and what it survives. No QEMU."""

import concurrent.futures
import hashlib
import hmac
import http.client
import http.server
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from tests.support.lomd import BUILD, PASSWORD, Lomd, sanitized, wait_until
from tests.support.redfish import Client, no_check
from tests.support.websocket import WebSocket

SYSTEM = "/redfish/v1/Systems/host0"
SESSIONS = "/redfish/v1/SessionService/Sessions"
TREE = "/redfish/v1/Oem/OpenLOM/Tree"


@pytest.fixture(scope="module")
def sp():
    if Lomd.missing():
        pytest.skip(Lomd.missing())
    with Lomd() as lomd:
        yield lomd


@pytest.fixture(scope="module")
def client(sp):
    return Client(sp)


def web_pid(sp):
    return json.loads((sp.run_dir / "web.json").read_text())["pid"]


def handshake(sp, *options):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{sp.ports['https']}",
                           "-verify_quiet", *options], input="", capture_output=True, text=True,
                          timeout=20)


# -- TLS

def test_tls_1_2_and_1_3_are_spoken_and_nothing_older(sp):
    assert "TLSv1.3" in handshake(sp, "-tls1_3").stdout
    modern = handshake(sp, "-tls1_2").stdout
    assert "Protocol  : TLSv1.2" in modern and "ECDHE" in modern
    # The client's own security level would refuse before the service does.
    for old in ("-tls1", "-tls1_1"):
        assert "alert protocol version" in handshake(sp, old, "-cipher", "ALL:@SECLEVEL=0").stderr


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA",
                                   "ECDHE-ECDSA-AES256-SHA384"])
def test_suites_without_forward_secrecy_or_aead_are_refused(sp, suite):
    done = handshake(sp, "-tls1_2", "-cipher", suite + ":@SECLEVEL=0")
    assert "handshake failure" in done.stderr, done


def test_the_first_certificate_has_the_right_names(sp, tmp_path):
    pem = ssl.get_server_certificate(("127.0.0.1", sp.ports["https"]))
    trusted = tmp_path / "ca.pem"
    trusted.write_text(pem)
    for name in ("127.0.0.1", "localhost", socket.gethostname()):
        context = ssl.create_default_context(cafile=trusted)
        with socket.create_connection(("127.0.0.1", sp.ports["https"]), timeout=10) as raw, \
                context.wrap_socket(raw, server_hostname=name) as connection:
            assert connection.version() == "TLSv1.3"


def test_plain_http_is_sent_to_https(sp):
    connection = http.client.HTTPConnection("127.0.0.1", sp.ports["https"], timeout=10)
    connection.request("GET", "/x?y=1")
    answer = connection.getresponse()
    assert answer.status == 308
    assert answer.headers["location"] == f"https://127.0.0.1:{sp.ports['https']}/x?y=1"


def made_certificate(folder, *options, name="bmc.example.org"):
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", cert, "-subj", f"/CN={name}", *options], check=True,
                   capture_output=True)
    return cert.read_text(), key.read_text()


def test_a_custom_certificate_is_checked_and_then_used(sp, client, tmp_path):
    def shown():
        return ssl.get_server_certificate(("127.0.0.1", sp.ports["https"])).strip()
    first = shown()
    uri = {"@odata.id": "/redfish/v1/Managers/sp/NetworkProtocol/HTTPS/Certificates/1"}
    replace = "/redfish/v1/CertificateService/Actions/CertificateService.ReplaceCertificate"

    def put(text):
        return client.post(replace, {"CertificateString": text, "CertificateType": "PEM",
                                     "CertificateUri": uri})
    cert, key = made_certificate(tmp_path, "-days", "30")
    other = tmp_path / "other"
    other.mkdir()
    _, foreign_key = made_certificate(other)
    expired = subprocess.run(["openssl", "x509", "-days", "-1", "-signkey", tmp_path / "key.pem",
                              "-in", tmp_path / "cert.pem"], capture_output=True, text=True)
    for wrong in ("nonsense", cert, cert + foreign_key, expired.stdout + key):
        assert put(wrong).status == 400, wrong[:40]
    assert shown() == first
    assert put(cert + key).status == 204
    wait_until(lambda: shown() == cert.strip(), 5, "the new certificate")
    assert client.get(uri["@odata.id"]).json["Subject"]["CommonName"] == "bmc.example.org"
    assert "PRIVATE" not in sp.lom("show", "-level", "all", "/SP/services/https").stdout
    assert sp.lom("set", "/SP/services/https/ssl", "clear_action=true").returncode == 0
    wait_until(lambda: shown() == first, 5, "the default certificate")
    assert client.get(SYSTEM).status == 200  # the session has lived through both


# -- limits

def raw(sp):
    connection = no_check().wrap_socket(
        socket.create_connection(("127.0.0.1", sp.ports["https"]), timeout=20))
    return connection


def answer_of(connection):
    data = b""
    while True:
        try:
            part = connection.recv(65536)
        except (ConnectionError, ssl.SSLError):
            part = b""
        if not part:
            return data
        data += part


def test_a_long_header_is_refused(sp):
    with raw(sp) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n")
        assert answer_of(connection).startswith(b"HTTP/1.1 431")


def test_a_body_limit_is_really_applied(sp, client):
    login = f"POST {SESSIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    with raw(sp) as connection:  # announced too long
        connection.sendall(login + b"Content-Length: 5000\r\n\r\n")
        assert answer_of(connection).startswith(b"HTTP/1.1 413")
    with raw(sp) as connection:  # not announced: chunks
        connection.sendall(login + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(20):
                connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        except (ConnectionError, ssl.SSLError):
            pass
        assert answer_of(connection).startswith(b"HTTP/1.1 413")
    big = client.patch(SYSTEM, {"AssetTag": "x" * 300000})
    assert big.status == 413
    client.connection = None
    assert client.patch(SYSTEM, {"AssetTag": "x" * 100000}).status == 400


def test_nonsense_gets_400_and_the_service_lives(sp, client):
    before = web_pid(sp)
    for junk in (b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET http://x/ HTTP/1.1\r\n\r\n",
                 b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                 b"GET / HTTP/9.9\r\n\r\n"):
        with raw(sp) as connection:
            connection.sendall(junk)
            assert answer_of(connection)[:12] in (b"HTTP/1.1 400", b""), junk
    for path in ("/../../etc/passwd", "/.hidden", "/%2e%2e/state/openlom.db", "/assets/../x.js"):
        with raw(sp) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert answer_of(connection).startswith(b"HTTP/1.1 404")
    assert client.patch(SYSTEM, "[" * 5000).status == 400
    assert web_pid(sp) == before


def test_slow_senders_keep_nobody_out(sp, client):
    slow = []
    try:
        for i in range(500):
            connection = socket.create_connection(("127.0.0.1", sp.ports["https"]), timeout=20)
            connection.sendall(b"\x16\x03\x01"[:1 + i % 3])  # the beginning of a handshake
            slow.append(connection)
            if i % 50 == 0:
                began = time.monotonic()
                assert Client(sp).get(SYSTEM).status == 200
                assert time.monotonic() - began < 5
        assert client.get(SYSTEM).status == 200
    finally:
        for connection in slow:
            connection.close()


# -- who may

def test_security_headers_on_everything(client):
    for path in ("/redfish/v1/", SYSTEM, "/nothing-here.js"):
        headers = client.get(path).headers
        assert "max-age" in headers["strict-transport-security"]
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def cookie_client(sp):
    page = Client(sp, log_in=False)
    answer = page.post(SESSIONS, {"UserName": "root", "Password": PASSWORD,
                                  "Oem": {"OpenLOM": {"Cookie": True}}})
    assert answer.status == 201 and "x-auth-token" not in answer.headers
    cookie = answer.headers["set-cookie"]
    for attribute in ("__Host-openlom=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert attribute in cookie
    page.headers["Cookie"] = cookie.split(";")[0]
    page.session = answer.headers["location"]
    return page


def test_a_cookie_is_worth_nothing_to_another_site(sp):
    page = cookie_client(sp)
    ours = f"https://127.0.0.1:{sp.ports['https']}"
    assert page.get(SYSTEM).status == 200
    change = {"AssetTag": "by the page"}
    assert page.patch(SYSTEM, change).status == 401  # a form of another site can send no header
    assert page.patch(SYSTEM, change, headers={"X-Requested-With": "x",
                                               "Origin": "https://evil.example"}).status == 401
    fine = page.patch(SYSTEM, change, headers={"X-Requested-With": "x", "Origin": ours})
    assert fine.status == 200
    for origin in ({}, {"Origin": "https://evil.example"}):
        with WebSocket(sp.ports["https"], "/console/serial", {**page.headers, **origin}) as refused:
            assert refused.status == 401
    with WebSocket(sp.ports["https"], "/console/serial", {**page.headers, "Origin": ours}) as seen:
        assert seen.status == 101
    gone = page.delete(page.session, headers={"X-Requested-With": "x"})
    assert gone.status == 204 and "Max-Age=0" in gone.headers["set-cookie"]
    assert page.get(SYSTEM).status == 401


def test_tickets_open_a_console_once(sp, client):
    ticket = client.post("/redfish/v1/Oem/OpenLOM/Tickets").json["Ticket"]
    path = f"/console/serial?ticket={ticket}"
    with WebSocket(sp.ports["https"], path) as first, WebSocket(sp.ports["https"], path) as second:
        assert first.status == 101 and second.status == 401


# -- streams

def test_the_serial_console_by_websocket(sp, client):
    def opened(query=""):
        return WebSocket(sp.ports["https"], "/console/serial" + query, client.headers)
    with opened() as writer, opened() as reader:
        first = json.loads(writer.receive())
        assert first["type"] == "attached" and first["write"]
        second = json.loads(reader.receive())
        assert not second["write"] and "root" in second["writer"]
        with opened("?force=1") as thief:
            assert json.loads(thief.receive())["write"]
            notice = json.loads(writer.receive())
            assert notice == {**notice, "type": "writer", "write": False}
        with open(sp.state_dir / "hosts/host0/console.log", "ab") as log:
            log.write(b"hello from the guest\r\n")
        assert b"hello from the guest" in reader.until(b"guest\r\n")
    with opened(f"?offset={first['offset']}") as again:  # from where the first one began
        again.receive()
        assert again.until(b"guest\r\n").startswith(b"hello")


def test_every_viewer_gets_every_byte_the_slow_one_too(sp, client):
    lines = b"".join(b"%07d all work and no play\r\n" % i for i in range(100_000))
    viewers = [WebSocket(sp.ports["https"], "/console/serial", client.headers) for _ in range(4)]
    for viewer in viewers:
        assert json.loads(viewer.receive())["type"] == "attached"
    with open(sp.state_dir / "hosts/host0/console.log", "ab") as log:
        log.write(lines)
    for viewer in viewers:  # the last ones are not read meanwhile: their sockets fill
        assert viewer.until(b"%07d all work and no play\r\n" % 99_999).endswith(lines)  # behind the history
        viewer.close()


@pytest.mark.skipif(not (BUILD / "lom-kvm").exists(), reason="lom-kvm is not built")
def test_the_screen_by_websocket_speaks_rfb(sp, client):
    def opened(query):
        def attempted():  # 503 while lom-kvm starts
            screen = WebSocket(sp.ports["https"], "/console/screen" + query, client.headers)
            return screen if screen.status == 101 else screen.close()
        return wait_until(attempted, 10, "the screen's websocket")

    with opened("?access=view") as screen:
        assert screen.until(b"\n") == b"RFB 003.008\n"
        screen.send(b"RFB 003.008\n")
        assert screen.until(b"\x01\x01") == b"\x01\x01"  # one security type: none
        screen.send(b"\x01")
        screen.until(b"\0\0\0\0")
        screen.send(b"\x01")
        greeting = screen.receive()
        while len(greeting) < 24:
            greeting += screen.receive()
        width, height = struct.unpack("!HH", greeting[:4])
        assert width >= 320 and height >= 200
    refused = WebSocket(sp.ports["https"], "/console/screen?access=nonsense", client.headers)
    assert refused.status in (400, 403)


def test_lom_web_is_confined(sp):
    status = open(f"/proc/{web_pid(sp)}/status").read()
    assert "NoNewPrivs:\t1" in status and f"Seccomp:\t{0 if sanitized() else 2}" in status
    if os.geteuid() == 0:
        assert "Uid:\t65534" in status and "CapEff:\t0000000000000000" in status


def test_changes_by_others_come_as_events(sp, client):
    with raw(sp) as stream:
        token = client.headers["X-Auth-Token"]
        stream.sendall(f"GET /redfish/v1/EventService/SSE HTTP/1.1\r\nHost: x\r\n"
                       f"X-Auth-Token: {token}\r\n\r\n".encode())
        seen = b""
        while b"\n\n" not in seen:
            seen += stream.recv(4096)
        assert b"text/event-stream" in seen
        sp.lom("set", "/SP", "system_contact=somebody else")
        while b'"Property":"system_contact"' not in seen:
            part = stream.recv(65536)
            assert part, seen
            seen += part
        data = next(line for line in seen.split(b"\n")
                    if b'"Property":"system_contact"' in line)[len("data: "):]
        event = json.loads(data)["Events"][0]
        assert event["MessageId"] == "OpenLOM.1.0.PropertyChanged"
        assert event["Oem"]["OpenLOM"]["Text"] == "somebody else"
        assert event["OriginOfCondition"]["@odata.id"] == "/redfish/v1/Managers/sp"


def test_nobody_is_refused_while_lom_web_is_replaced(sp):
    record = sp.run_dir / "web.json"
    replaced = threading.Event()

    def log_in_all_the_time():
        while not replaced.is_set():
            Client(sp)

    with concurrent.futures.ThreadPoolExecutor() as people:
        logins = [people.submit(log_in_all_the_time) for _ in range(8)]
        try:
            for minutes in (20, 21, 22, 23, 24, 15):
                before = record.read_text()
                sp.lom("set", "/SP/services/https", f"sessiontimeout={minutes}")
                wait_until(lambda: record.exists() and record.read_text() != before, 20, "a new lom-web")
        finally:
            replaced.set()
        for login in logins:
            login.result()


def test_texts_come_without_what_a_terminal_would_obey(sp, client):
    log = sp.state_dir / "hosts" / "host0" / "console.log"
    log.write_bytes(b"\x1bc\x1b(B\x1b]0;title\x07\x1b[1;31mred\x1b[0m\ttab\r\nbell\x07\x1b[?25l end\x1b[")
    history = "/redfish/v1/Oem/OpenLOM/Tree/HOST/console/history"
    shown = client.get(history).json["Text"]
    assert "red\ttab\nbell end" in shown and "title" not in shown and "cred" not in shown
    assert "\x1b" not in shown and "Bred" not in shown
    assert "\x1bc\x1b(B\x1b]0;title\x07\x1b[1;31mred" in client.get(history + "?raw").json["Text"]


def test_an_event_stream_is_an_event_destination_while_it_lasts(sp, client):
    subscriptions = "/redfish/v1/EventService/Subscriptions"

    def streams():
        members = client.get(subscriptions).json["Members"]
        return [m["@odata.id"] for m in members if "/sse-" in m["@odata.id"]]

    def opened():
        stream = raw(sp)
        stream.sendall(f"GET /redfish/v1/EventService/SSE HTTP/1.1\r\nHost: x\r\n"
                       f"X-Auth-Token: {client.headers['X-Auth-Token']}\r\n\r\n".encode())
        seen = b""
        while b"\n\n" not in seen:
            seen += stream.recv(4096)
        return stream

    wait_until(lambda: not streams(), 10, "no stream is left of other tests")
    with opened():
        [uri] = streams()
        destination = client.get(uri).json
        assert destination["SubscriptionType"] == "SSE" and destination["Protocol"] == "Redfish"
        assert len(destination["Context"]) >= 8
    wait_until(lambda: not streams(), 10, "the destination goes with its stream")
    assert client.get(uri).status == 404
    with opened() as stream:
        [again] = streams()
        assert again != uri
        assert client.delete(again).status == 204
        stream.settimeout(10)
        while stream.recv(65536):
            pass
    wait_until(lambda: not streams(), 10, "the destination is gone")


class Receiver:
    """An HTTPS server that takes events; it fails the first `failures` of them."""

    def __init__(self, folder, failures):
        cert, key = made_certificate(folder, "-days", "2")
        (folder / "both.pem").write_text(cert + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "both.pem")
        self.taken, self.failures = [], failures
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 503 if receiver.failures > 0 else 204
                receiver.failures -= 1
                if status == 204:
                    receiver.taken.append((dict(self.headers), body, self.path))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def has(self, word):
        return [entry for entry in self.taken if word in entry[1]]


def test_webhooks_are_signed_retried_and_survive_lomd(sp, client, tmp_path):
    receiver = Receiver(tmp_path, failures=1)
    uri = f"https://127.0.0.1:{receiver.server.server_address[1]}/hook?a=b"
    subscriptions = "/redfish/v1/EventService/Subscriptions"
    wanted = {"Destination": uri, "Protocol": "Redfish", "Context": "mine",
              "VerifyCertificate": False, "Oem": {"OpenLOM": {"Secret": "s3cret"}}}
    assert client.post(subscriptions, {**wanted, "HttpHeaders": []}).status == 400
    assert client.post(subscriptions, {**wanted, "Destination": "ftp://x"}).status == 400
    made = client.post(subscriptions, wanted)
    assert made.status == 201, made
    sp.lom("set", "/SP", "system_contact=hook one")
    wait_until(lambda: receiver.has(b"hook one"), 15, "the event, after one refusal")
    headers, body, path = receiver.has(b"hook one")[0]
    signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["X-OpenLOM-Signature"] == "sha256=" + signature
    event = json.loads(body)
    assert path == "/hook?a=b" and event["Context"] == "mine"
    wait_until(lambda: client.get(made.headers["location"]).json["Oem"]["OpenLOM"]
               ["DeliveryStatus"] == "delivered", 5, "the status")
    assert "s3cret" not in sp.lom("show", "-level", "all", "/SP/alertmgmt").stdout
    sp.kill9()
    sp.start()
    sp.lom("set", "/SP", "system_contact=hook two")
    wait_until(lambda: receiver.has(b"hook two"), 15, "an event from the next lomd")
    assert client.patch(made.headers["location"], {"VerifyCertificate": True}).status == 200
    sp.lom("set", "/SP", "system_contact=hook three")
    wait_until(lambda: "TLS" in client.get(made.headers["location"]).json["Oem"]["OpenLOM"]
               ["DeliveryStatus"], 10, "an unknown certificate is refused")
    assert not receiver.has(b"hook three")
    assert client.delete(made.headers["location"]).status == 204
    assert client.get(subscriptions).json["Members@odata.count"] == 0
    receiver.server.shutdown()


def test_revoking_a_session_cuts_its_consoles_within_a_second(sp, client):
    other = Client(sp)
    paths = ["/console/serial", "/console/screen?access=view"]
    consoles = [WebSocket(sp.ports["https"], path, other.headers) for path in paths]
    for console in consoles:
        assert console.status == 101 and console.receive()
    began = time.monotonic()
    assert client.delete(other.session).status == 204
    for console in consoles:
        while console.receive() is not None:
            pass
        assert time.monotonic() - began < 1
        assert console.closed == 1008
        console.close()
    assert other.get(SYSTEM).status == 401


# -- what it survives

def test_kill_9_of_lom_web_is_over_within_a_second(sp, client):
    assert client.get(SYSTEM).status == 200
    old = web_pid(sp)
    os.kill(old, signal.SIGKILL)
    began = time.monotonic()
    client.connection = None
    assert client.get(SYSTEM).status == 200  # the same session
    assert time.monotonic() - began < 1
    assert web_pid(sp) != old


def test_kill_9_of_lomd_leaves_sessions_and_events(sp, client):
    old = web_pid(sp)
    with raw(sp) as stream:
        token = client.headers["X-Auth-Token"]
        stream.sendall(f"GET /redfish/v1/EventService/SSE HTTP/1.1\r\nHost: x\r\n"
                       f"X-Auth-Token: {token}\r\n\r\n".encode())
        seen = stream.recv(4096)
        sp.kill9()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(client.get(SYSTEM)))
        asking.start()  # waits for lomd instead of failing
        sp.start()
        asking.join(10)
        assert answers and answers[0].status == 200
        assert web_pid(sp) == old
        while b'"Kind":"missed"' not in seen:
            part = stream.recv(65536)
            assert part, seen
            seen += part
    # And an adopted lom-web that dies comes back too.
    os.kill(old, signal.SIGKILL)
    client.connection = None
    wait_until(lambda: answers_again(client), 3, "lom-web is back")


def answers_again(client):
    try:
        return client.get(SYSTEM).status == 200
    except OSError:
        client.connection = None
        return False


def test_the_service_can_be_moved_and_switched_off_in_the_tree(sp):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert sp.lom("set", "/SP/services/https", f"port={port}").returncode == 0
    old = sp.ports["https"]
    sp.ports["https"] = port
    moved = wait_until(lambda: attempt(sp), 5, "the new port")
    assert moved.get(SYSTEM).status == 200
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", old), timeout=2)
    sp.lom("set", "/SP/services/https", "servicestate=disabled")
    wait_until(lambda: not attempt(sp), 5, "nobody answers")
    sp.lom("set", "/SP/services/https", "servicestate=enabled")
    wait_until(lambda: attempt(sp), 5, "it answers again")


def attempt(sp):
    try:
        return Client(sp)
    except OSError:
        return None
