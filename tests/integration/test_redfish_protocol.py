"""What DMTF's Redfish specification (DSP0266) asks of every service: headers, methods, status codes, the
documents at fixed addresses, and each query that the service root advertises."""

import concurrent.futures
import email.utils
import re
import threading
import time
import xml.etree.ElementTree as ElementTree

import pytest

from tests.support.lomd import PASSWORD, Lomd
from tests.support.redfish import Client, walk

ROOT = "/redfish/v1/"
SYSTEM = "/redfish/v1/Systems/host0"
SESSIONS = "/redfish/v1/SessionService/Sessions"
ACCOUNTS = "/redfish/v1/AccountService/Accounts"
OPEN = ["/redfish", "/redfish/v1", ROOT, "/redfish/v1/odata", "/redfish/v1/$metadata"]


@pytest.fixture(scope="module")
def sp():
    if Lomd.missing():
        pytest.skip(Lomd.missing())
    with Lomd() as lomd:
        yield lomd


@pytest.fixture(scope="module")
def client(sp):
    return Client(sp)


@pytest.fixture(scope="module")
def stranger(sp):
    return Client(sp, log_in=False)


@pytest.fixture(scope="module")
def everything(client):
    return walk(client)


def is_json(answer):
    return answer.headers["content-type"] == "application/json; charset=utf-8" and answer.json is not None


# -- who may see what

def test_the_fixed_documents_are_open_to_all_and_nothing_else_is(stranger, everything):
    for uri in OPEN:
        assert stranger.get(uri).status == 200, uri
    closed = [uri for uri in everything if uri not in OPEN] + [SYSTEM + "/None", "/redfish/v1/None"]
    assert len(closed) > 80
    for uri in closed:
        refused = stranger.get(uri)
        assert refused.status == 401, uri
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert is_json(refused) and refused.messages == ["NoValidSession"]
    assert stranger.post(SYSTEM + "/Actions/ComputerSystem.Reset", {"ResetType": "On"}).status == 401
    assert stranger.get("/redfish").json == {"v1": ROOT}
    assert stranger.get("/redfish/v1").json["@odata.id"] == ROOT


def test_the_documents_name_what_there_is(stranger, client, everything):
    odata = stranger.get("/redfish/v1/odata").json
    assert odata["@odata.context"] == "/redfish/v1/$metadata"
    listed = {entry["url"] for entry in odata["value"]}
    linked = {link["@odata.id"] for link in client.get(ROOT).json.values()
              if isinstance(link, dict) and "@odata.id" in link}
    assert linked <= listed and all(client.get(uri).status == 200 for uri in listed)
    metadata = stranger.get("/redfish/v1/$metadata")
    assert metadata.headers["content-type"] == "application/xml; charset=utf-8"
    names = {include.get("Namespace")
             for include in ElementTree.fromstring(metadata.body).iter(
                 "{http://docs.oasis-open.org/odata/ns/edmx}Include")}
    used = {answer.json["@odata.type"].lstrip("#").rpartition(".")[0] for answer in everything.values()}
    assert used <= names


def test_what_is_not_there_is_not_found_whatever_type_is_asked_for(client):
    yaml = client.get("/redfish/v1/openapi.yaml", headers={"Accept": "application/yaml"})
    assert yaml.status == 404 and yaml.messages == ["ResourceMissingAtURI"]
    assert client.get(SYSTEM, headers={"Accept": "application/yaml"}).status == 406


# -- many readers of one account

def test_a_session_that_ends_takes_no_other_of_its_account_along(sp):
    """Their GETs share a reading, which may have been the ended one's."""
    over = threading.Event()
    doomed = [Client(sp) for _ in range(12)]
    staying = [Client(sp) for _ in range(4)]
    admin = Client(sp)

    def read(client, may_end):
        while not over.is_set():
            answer = client.get(SYSTEM)
            if may_end and answer.status == 401:
                return "ended"
            assert answer.status == 200, answer
            assert answer.json["Id"] == "host0"
        return "stayed"

    with concurrent.futures.ThreadPoolExecutor(16) as people:
        ending = [people.submit(read, client, True) for client in doomed]
        others = [people.submit(read, client, False) for client in staying]
        try:
            for client in doomed:
                assert admin.delete(client.session).status == 204
            assert [one.result(20) for one in ending] == ["ended"] * len(doomed)
        finally:
            over.set()
        assert [one.result(20) for one in others] == ["stayed"] * len(staying)


# -- methods

def test_each_method_is_allowed_or_refused_with_the_list(client, everything):
    for uri, answer in everything.items():
        if "?" in uri:
            continue
        allowed = answer.headers["allow"].split(", ")
        assert allowed[:2] == ["GET", "HEAD"]
        for method in {"PATCH", "POST", "DELETE", "PUT", "TRACE"} - set(allowed):
            refused = client.request(method, uri, {})
            assert refused.status == 405, (method, uri, refused)
            assert refused.headers["allow"] == answer.headers["allow"], (method, uri)
            assert refused.messages == ["OperationNotAllowed"]
    assert client.request("OPTIONS", SYSTEM).headers["allow"] == "GET, HEAD, PATCH"
    for uri in OPEN[-2:]:
        assert client.post(uri).headers["allow"] == "GET, HEAD"
    assert client.post("/redfish/v1/EventService/SSE").headers["allow"] == "GET"


def test_head_is_get_without_a_body(client, everything):
    for uri in [*OPEN, SYSTEM, ACCOUNTS, ACCOUNTS + "/root"]:
        get, head = client.get(uri), client.request("HEAD", uri)
        assert (head.status, head.body) == (200, b"")
        made = email.utils.parsedate_to_datetime(get.headers["date"]).timestamp()
        assert abs(made - time.time()) < 30
        for name in set(get.headers) - {"date"}:
            assert head.headers[name] == get.headers[name], (uri, name)


def test_a_body_of_a_get_is_ignored(client):
    assert client.request("GET", SYSTEM, "{not even json").json["Id"] == "host0"
    assert client.request("GET", SYSTEM, "x", headers={"Content-Type": "text/plain"}).status == 200


def test_what_is_made_says_where_it_is(client, sp):
    made = client.post(ACCOUNTS + "/Members", {"UserName": "dora", "Password": "Dora-Horse-77",
                                               "RoleId": "ReadOnly"})
    assert made.status == 201 and made.headers["location"] == ACCOUNTS + "/dora"
    mine = Client(sp, "dora", "Dora-Horse-77")
    assert client.get(mine.session).json["@odata.id"] == mine.session
    refused = mine.patch(SYSTEM, {"AssetTag": "not hers"})
    assert refused.status == 403 and refused.messages == ["InsufficientPrivilege"]
    assert client.delete(ACCOUNTS + "/dora").status == 204
    assert client.get(ACCOUNTS + "/dora").status == 404
    assert mine.get(SYSTEM).status == 401
    role = client.patch("/redfish/v1/AccountService/Roles/Administrator", {"AssignedPrivileges": []})
    assert role.status == 405


def test_a_session_says_no_more_than_it_must(stranger, client):
    begun = stranger.post(SESSIONS, {"UserName": "root", "Password": PASSWORD})
    assert begun.status == 201 and len(begun.headers["x-auth-token"]) == 64
    assert "set-cookie" not in begun.headers and PASSWORD.encode() not in begun.body
    assert begun.json["@odata.id"] == begun.headers["location"]
    wrong = stranger.post(SESSIONS, {"UserName": "root", "Password": "wrong"})
    assert wrong.status == 401 and "x-auth-token" not in wrong.headers
    assert client.delete(begun.headers["location"]).status == 204


# -- headers

def test_every_answer_carries_what_the_specification_wants(client, everything):
    for uri, answer in everything.items():
        if "?" in uri:
            continue
        kind = answer.json["@odata.type"].lstrip("#").rpartition(".")[0]
        assert f"/{kind}.json>; rel=describedby" in answer.headers["link"], uri
        assert answer.headers["odata-version"] == "4.0"
        if "Members" not in answer.json:
            assert re.fullmatch(r'(W/)?"[^"]+"', answer.headers["etag"]), uri
    missing = client.get(SYSTEM + "/None")
    assert missing.status == 404 and is_json(missing) and missing.messages == ["ResourceMissingAtURI"]
    assert client.get(SYSTEM + "/").json["@odata.id"] == SYSTEM
    theirs = client.get(SYSTEM, headers={"Origin": "https://elsewhere.example"})
    assert theirs.headers["access-control-allow-origin"] == f"https://127.0.0.1:{client.sp.ports['https']}"


@pytest.mark.parametrize("accept, status", [
    ("application/json", 200), ("application/json;charset=utf-8", 200), ("*/*", 200), ("application/*", 200),
    ("text/html, application/json;q=0.5", 200), ("Application/JSON", 200), ("", 200), (None, 200),
    ("text/html", 406), ("application/json;q=0", 406), ("application/xml", 406)])
def test_accept_is_honoured(client, accept, status):
    answer = client.get(SYSTEM, headers={} if accept is None else {"Accept": accept})
    assert answer.status == status and is_json(answer)
    if status == 406:
        assert answer.messages == ["HeaderInvalid"]


def test_accept_of_what_is_not_json(client):
    assert client.get("/redfish/v1/$metadata", headers={"Accept": "application/xml"}).status == 200
    assert client.get("/redfish/v1/$metadata", headers={"Accept": "application/json"}).status == 406
    assert client.get("/redfish/v1/EventService/SSE", headers={"Accept": "application/json"}).status == 406


def test_a_body_that_is_not_json_is_refused(client):
    def sent(kind):
        return client.patch(SYSTEM, {"AssetTag": "by type"}, headers={"Content-Type": kind})
    assert sent("application/json").status == 200
    assert sent("Application/JSON; charset=utf-8").status == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        refused = sent(kind)
        assert refused.status == 415 and refused.messages == ["HeaderInvalid"]


def test_odata_version_4_0_and_no_other(client):
    assert client.get(SYSTEM, headers={"OData-Version": "4.0"}).status == 200
    for version in ("4.1", "3.0", "x"):
        assert client.get(SYSTEM, headers={"OData-Version": version}).status == 412


def test_preconditions(client):
    etag = client.get(SYSTEM).headers["etag"]
    assert client.patch(SYSTEM, {"AssetTag": "p1"}, headers={"If-Match": f'"other", {etag}'}).status == 200
    assert client.patch(SYSTEM, {"AssetTag": "p2"}, headers={"If-Match": etag}).status == 412
    assert client.patch(SYSTEM, {"AssetTag": "p2"}, headers={"If-Match": "*"}).status == 200
    assert client.patch(SYSTEM, {"AssetTag": "p3"}).status == 200  # none is required: no 428
    etag = client.get(SYSTEM).headers["etag"]
    same = client.get(SYSTEM, headers={"If-None-Match": etag})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)


def test_a_patch_without_anything_to_do_says_so(client):
    assert client.patch(SYSTEM, {"@odata.id": SYSTEM, "@odata.etag": "x"}).messages == ["NoOperation"]
    both = client.patch(SYSTEM, {"AssetTag": "kept", "@odata.etag": "x"})
    assert both.status == 200 and both.json["AssetTag"] == "kept"
    read_only = client.patch(SYSTEM, {"Id": "other", "Model": "other"})
    assert read_only.status == 400
    assert read_only.messages == ["PropertyNotWritable", "PropertyNotWritable"]


# -- queries: what ProtocolFeaturesSupported promises, and no more

def links(value, inside=False):
    """[number of links left below Links, elsewhere] in a resource's members and objects."""
    left = [0, 0]
    if isinstance(value, list):
        for item in value:
            left = [a + b for a, b in zip(left, links(item, inside))]
    elif isinstance(value, dict):
        if list(value) == ["@odata.id"]:
            return [1, 0] if inside else [0, 1]
        for key, item in value.items():
            left = [a + b for a, b in zip(left, links(item, inside or key == "Links"))]
    return left


def test_expand_as_advertised(client):
    features = client.get(ROOT).json["ProtocolFeaturesSupported"]["ExpandQuery"]
    assert features == {"ExpandAll": True, "Levels": True, "Links": True, "MaxLevels": 2, "NoLinks": True}
    plain = links(client.get(SYSTEM).json)
    assert plain[0] > 0 and plain[1] > 5
    system = client.get(SYSTEM + "?$expand=.").json
    assert system["Bios"]["Attributes"]["Machine"] and list(system["Links"]["Chassis"][0]) == ["@odata.id"]
    system = client.get(SYSTEM + "?$expand=~").json
    assert list(system["Bios"]) == ["@odata.id"] and system["Links"]["Chassis"][0]["Id"] == "host0"
    system = client.get(SYSTEM + "?$expand=*").json
    assert system["Bios"]["Attributes"] and system["Links"]["Chassis"][0]["Id"] == "host0"
    one = client.get(SYSTEM + "?$expand=.($levels=1)").json
    assert list(one["Memory"]["Members"][0]) == ["@odata.id"]
    two = client.get(SYSTEM + "?$expand=.($levels=2)").json
    assert two["Memory"]["Members"][0]["MemoryType"] == "DRAM"
    for bad in ("x", ".($levels=0)", ".($levels=x)", ".(", ""):
        assert client.get(SYSTEM + "?$expand=" + bad).messages == ["QueryParameterValueFormatError"], bad


def test_select_top_skip_filter_only_as_advertised(client):
    features = client.get(ROOT).json["ProtocolFeaturesSupported"]
    assert features["SelectQuery"] and features["FilterQuery"] and features["OnlyMemberQuery"]
    assert not features["ExcerptQuery"]
    entries = "/redfish/v1/Managers/sp/LogServices/audit/Entries"
    whole = client.get(entries).json["Members"]
    last = client.get(entries + f"?$skip={len(whole) - 1}").json
    assert len(last["Members"]) >= 1 and "Members@odata.nextLink" not in last
    assert client.get(entries + "?$top=0").json["Members"] == []
    for bad in ("$top=-1", "$skip=-1", "$top=1.5", "$filter=", "$filter=Id", "$filter=(Id eq '1'"):
        assert client.get(entries + "?" + bad).status == 400, bad
    first = client.get(entries + "?$filter=Id eq '" + whole[0]["Id"] + "'").json
    assert [member["Id"] for member in first["Members"]] == [whole[0]["Id"]]
    assert client.get(ROOT + "?only").status == 400
    assert client.get(ACCOUNTS + "?only").json["UserName"] == "root"
    both = client.get(SYSTEM + "?$select=Bios/Attributes,Name&$expand=.").json
    assert "Attributes" in both["Bios"] and "PowerState" not in both
    for unsupported in ("$count=true", "$search=x", "$apply=x"):
        refused = client.get(entries + "?" + unsupported)
        assert refused.status == 501 and refused.messages == ["QueryNotSupportedOnResource"]
    assert client.get(SYSTEM + "?excerpt&other=1").status == 200  # what has no $ is ignored
