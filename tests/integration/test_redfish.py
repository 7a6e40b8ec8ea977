"""Redfish as a whole: every resource against DMTF's schemas, every link, every writable property,
and what HTTP and Redfish's specification ask of errors, ETags and queries. No QEMU is started."""

import json
import socket
import xml.etree.ElementTree as ElementTree

import jsonschema
import pytest

from tests.support.lomd import PASSWORD, Lomd, wait_until
from tests.support.redfish import SCHEMAS, Client, Schemas, walk

SYSTEM = "/redfish/v1/Systems/host0"
ROOT_ACCOUNT = "/redfish/v1/AccountService/Accounts/root"
DRIVES = [f"{SYSTEM}/VirtualMedia/{drive}" for drive in ("Cd", "Cd2", "Usb")]
PROTOCOL = "/redfish/v1/Managers/sp/NetworkProtocol"


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
def everything(client):
    return walk(client)


def test_every_link_leads_somewhere(everything):
    broken = {uri: answer.status for uri, answer in everything.items() if answer.status != 200}
    assert not broken
    assert len(everything) > 80


def test_every_resource_fits_its_schema(everything):
    if Schemas.missing():
        pytest.skip(Schemas.missing())
    schemas = Schemas()
    problems = []
    for answer in everything.values():
        problems += schemas.problems(answer.json)
    assert not problems, "\n".join(problems[:40])


def own_objects(value):
    """Every object of a type of ours in an answer."""
    if isinstance(value, list):
        for inner in value:
            yield from own_objects(inner)
    if isinstance(value, dict):
        if value.get("@odata.type", "").startswith("#OpenLOM"):
            yield value
        for inner in value.values():
            yield from own_objects(inner)


def test_what_is_ours_fits_schemas_that_are_served(client, everything):
    schemas = {}
    for name in ("OpenLOM.v1_0_0", "OpenLOMTarget.v1_0_0"):
        file = client.get(f"/redfish/v1/JsonSchemas/{name}").json
        schemas[name] = client.get(file["Location"][0]["Uri"]).json
    id_ref = {"definitions": {"idRef": {"type": "object", "required": ["@odata.id"]}}}
    answers = [answer.json for answer in everything.values()]
    tree = client.get("/redfish/v1/Oem/OpenLOM/Tree?depth=12")
    assert tree.status == 200
    never_on = client.get("/redfish/v1/Oem/OpenLOM/Tree/HOST/screen/last")
    assert never_on.status == 200 and never_on.json["Text"].endswith(".\n")
    answers += [tree.json, client.get("/redfish/v1/Oem/OpenLOM/Tree/SP?describe").json]
    seen = set()
    for found in own_objects(answers):
        name, _, kind = found["@odata.type"].lstrip("#").rpartition(".")
        schema = {**schemas[name], "$ref": f"#/definitions/{kind}"}
        resolver = jsonschema.RefResolver("", schema, handlers={"http": lambda uri: id_ref})
        jsonschema.validate(found, schema, cls=jsonschema.Draft7Validator, resolver=resolver)
        seen.add(kind)
    assert {"ServiceRoot", "System", "VirtualMedia", "LogEntry", "OpenLOMTarget"} <= seen


def test_csdl_and_json_schema_of_what_is_ours_say_the_same(client):
    edm = "{http://docs.oasis-open.org/odata/ns/edm}"
    metadata = client.get("/redfish/v1/$metadata").body.decode()
    for name in ("OpenLOM", "OpenLOMTarget"):
        uri = f"/redfish/v1/SchemaStore/{name}_v1.xml"
        assert f'Uri="{uri}"' in metadata
        csdl = ElementTree.fromstring(client.get(uri).body)
        definitions = client.get(f"/redfish/v1/SchemaStore/{name}.v1_0_0.json").json["definitions"]
        versioned = next(s for s in csdl.iter(edm + "Schema") if s.get("Namespace") == name + ".v1_0_0")
        types = {t.get("Name"): {p.get("Name") for p in t if p.tag in (edm + "Property", edm + "NavigationProperty")}
                 for t in versioned if t.tag in (edm + "EntityType", edm + "ComplexType")}
        inherited = {"@odata.id", "@odata.type", "Id", "Name"}
        assert definitions
        for kind, definition in definitions.items():
            assert types[kind] == set(definition["properties"]) - inherited, kind


def test_settings_apply_at_the_next_reset(client):
    def settings(time):
        return {"Attributes": {"BootOrder": "disk cdrom net"},
                "@Redfish.SettingsApplyTime": {"@odata.type": "#Settings.v1_3_5.PreferredApplyTime",
                                               "ApplyTime": time}}
    accepted = client.patch(SYSTEM + "/Bios/Settings", settings("OnReset"))
    assert accepted.status == 200 and "@Message.ExtendedInfo" not in accepted.json
    other = client.patch(SYSTEM + "/Bios/Settings", settings("Immediate"))
    assert other.json["@Message.ExtendedInfo"][0]["MessageId"].endswith(".PropertyValueNotInList")
    assert all("@" not in name for name in client.get(SYSTEM + "/Bios").json["Attributes"])


def test_actions_tell_what_they_take(client):
    action = client.get(DRIVES[0]).json["Actions"]["#VirtualMedia.InsertMedia"]
    info = client.get(action["@Redfish.ActionInfo"]).json
    parameters = {one["Name"]: one for one in info["Parameters"]}
    assert parameters["Image"] == {"Name": "Image", "Required": True, "DataType": "String"}
    assert parameters["Inserted"]["DataType"] == "Boolean"
    assert "CD" in parameters["MediaType"]["AllowableValues"]
    reset = client.get(SYSTEM).json["Actions"]["#ComputerSystem.Reset"]
    assert client.get(reset["@Redfish.ActionInfo"]).json["Parameters"][0]["AllowableValues"] == \
        reset["ResetType@Redfish.AllowableValues"]


def test_every_resource_has_its_own_address_and_the_headers(everything):
    for uri, answer in everything.items():
        if "?" in uri:
            continue
        assert answer.json["@odata.id"].rstrip("/") == uri, uri
        assert answer.headers["odata-version"] == "4.0"
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["cache-control"] == "no-store"
        assert "GET" in answer.headers["allow"]
        if "Members" not in answer.json:
            assert answer.headers["etag"] == answer.json["@odata.etag"]


# What can be written, with a value to write; {name of resource: {property: value}}.
WRITABLE = {
    "/redfish/v1/SessionService": {"SessionTimeout": 1800},
    "/redfish/v1/AccountService/Accounts/root": {"Locked": False},
    "/redfish/v1/Managers/sp": {"Location/Placement/AdditionalInfo": "Rack 7"},
    "/redfish/v1/Chassis/host0": {"AssetTag": "tag-1", "Location/Placement/AdditionalInfo": "Row 2"},
    PROTOCOL: {"HTTPS/ProtocolEnabled": True},
    SYSTEM: {"AssetTag": "tag-2", "Boot/BootSourceOverrideMode": "UEFI",
             "Boot/BootOrder": ["net", "disk"],
             "Boot/BootSourceOverrideTarget": "Cd", "Boot/BootSourceOverrideEnabled": "Continuous"},
    SYSTEM + "/VirtualMedia/Cd": {"UserName": "reader"},
    SYSTEM + "/VirtualMedia/Cd2": {"UserName": "another"},
    SYSTEM + "/VirtualMedia/Usb": {"UserName": "third"},
    SYSTEM + "/Bios": {"Attributes/Firmware": "bios", "Attributes/Machine": "pc",
                       "Attributes/BootOrder": "net disk",
                       "Attributes/BootModeScript": "printenv",
                       "Attributes/BootModeState": "reset_nvram",
                       "Attributes/ConsoleEscape": "#!"},
    SYSTEM + "/Bios/Settings": {"Attributes/Firmware": "uefi"},
}


def nested(path, value):
    for part in reversed(path.split("/")):
        value = {part: value}
    return value


def value_at(resource, path):
    for part in path.split("/"):
        resource = resource[part]
    return resource


def leaves(value, path=""):
    """Path and value of each property that is neither an annotation nor a list."""
    for key, inner in value.items():
        if "@" in key or key in ("Actions", "Links"):
            continue
        if isinstance(inner, dict):
            yield from leaves(inner, f"{path}{key}/")
        elif not isinstance(inner, list):
            yield path + key, inner


def test_nothing_else_is_writable(client, everything):
    """Each property of each resource that can be patched is tried; what is taken must be in WRITABLE."""
    read_only = {"PropertyNotWritable", "PropertyUnknown"}
    # No value to read, a door that is moved, one's own role: tests of their own below.
    apart = {(ROOT_ACCOUNT, "Password"), (ROOT_ACCOUNT, "RoleId"), (PROTOCOL, "SSH/ProtocolEnabled"), (PROTOCOL, "SSH/Port"),
             (PROTOCOL, "HTTPS/Port"), *((drive, "Password") for drive in DRIVES)}
    for uri, answer in everything.items():
        if "PATCH" not in answer.headers["allow"] or "/Managers/sp/VirtualMedia" in uri:
            continue  # the manager's drives are those of the system
        taken = set()
        for path, value in leaves(answer.json):
            tried = client.patch(uri, nested(path, "x" if value is None else value))
            if tried.status == 200 or set(tried.messages) - read_only:
                taken.add(path)
        known = set(WRITABLE.get(uri, {})) | {path for at, path in apart if at == uri}
        if "/Bios" in uri:
            known |= set(WRITABLE[SYSTEM + "/Bios"])  # one set of attributes, at two places
        assert taken <= known, uri


def test_everything_writable_reads_back_as_it_was_written(client):
    for uri, properties in WRITABLE.items():
        for path, value in properties.items():
            answer = client.patch(uri, nested(path, value))
            assert answer.status == 200, (uri, path, answer)
            assert value_at(client.get(uri).json, path) == value, (uri, path)
            assert value_at(answer.json, path) == value


def test_a_password_is_written_and_not_read(sp, client):
    assert client.patch(ROOT_ACCOUNT, {"Password": "Another-Horse-8"}).status == 200
    assert client.get(ROOT_ACCOUNT).json["Password"] is None
    again = Client(sp, password="Another-Horse-8")
    assert again.patch(ROOT_ACCOUNT, {"Password": PASSWORD}).status == 200
    assert Client(sp).get(ROOT_ACCOUNT).status == 200
    for drive in DRIVES:
        assert client.patch(drive, {"Password": "of the server"}).json["Password"] is None
        assert client.get(drive).json["Password"] is None
        target = client.get(drive).json["Oem"]["OpenLOM"]["Target"]["@odata.id"].partition("Tree")[2]
        assert "password = *****" in sp.lom("show", target + "/remote").stdout


def test_the_doors_are_moved_and_shut(sp, client):
    def free_port():
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return one.getsockname()[1]

    def there(port):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0
    ssh = free_port()
    assert client.patch(PROTOCOL, {"SSH": {"Port": ssh}}).json["SSH"]["Port"] == ssh
    wait_until(lambda: there(ssh), 5, "SSH at its new port")
    assert client.patch(PROTOCOL, {"SSH": {"ProtocolEnabled": False}}).json["SSH"]["ProtocolEnabled"] is False
    wait_until(lambda: not there(ssh), 5, "SSH is shut")
    assert client.patch(PROTOCOL, {"SSH": {"ProtocolEnabled": True}}).status == 200
    wait_until(lambda: there(ssh), 5, "SSH is open again")
    old, sp.ports["https"] = sp.ports["https"], free_port()
    assert client.patch(PROTOCOL, {"HTTPS": {"Port": sp.ports["https"]}}).status == 200
    wait_until(lambda: there(sp.ports["https"]) and not there(old), 5, "HTTPS at its new port")
    assert client.get(PROTOCOL).json["HTTPS"]["Port"] == sp.ports["https"]


def test_what_is_written_is_the_same_property_in_the_shell(sp, client):
    client.patch(SYSTEM, {"AssetTag": "seen in both"})
    assert "asset_tag = seen in both" in sp.lom("show", "/System").stdout
    sp.lom("set", "/System", "asset_tag=from the shell")
    assert client.get(SYSTEM).json["AssetTag"] == "from the shell"


def test_boot_override_once_and_continuous(sp, client):
    def override():
        boot = client.get(SYSTEM).json["Boot"]
        return boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]

    def ask(**boot):
        return client.patch(SYSTEM, {"Boot": {"BootSourceOverride" + k: v for k, v in boot.items()}})

    assert ask(Target="None", Enabled="Disabled").status == 200
    assert override() == ("Disabled", "None")
    assert ask(Target="Pxe", Enabled="Once").status == 200
    assert override() == ("Once", "Pxe")
    assert "boot_device = pxe" in sp.lom("show", "/HOST").stdout
    assert ask(Target="Hdd").status == 200
    assert override() == ("Once", "Hdd")
    assert ask(Enabled="Disabled").status == 200
    assert override() == ("Disabled", "None")
    assert ask(Target="Cd", Enabled="Continuous").status == 200
    assert override() == ("Continuous", "Cd")
    assert "boot_order = cdrom disk net" in sp.lom("show", "/HOST").stdout
    # One override takes the place of the other: Once leaves none behind.
    assert ask(Target="Pxe", Enabled="Once").status == 200
    assert override() == ("Once", "Pxe")
    assert "boot_order = disk cdrom net" in sp.lom("show", "/HOST").stdout
    assert ask(Target="BiosSetup", Enabled="Continuous").status == 400
    # An order of somebody's own is no override, and outlives one.
    assert client.patch(SYSTEM, {"Boot": {"BootOrder": ["net", "disk"]}}).status == 200
    ask(Target="None", Enabled="Disabled")
    assert override() == ("Disabled", "None")
    ask(Target="Cd", Enabled="Once")
    assert "boot_order = net disk" in sp.lom("show", "/HOST").stdout
    assert client.post(SYSTEM + "/Actions/ComputerSystem.SetDefaultBootOrder", {}).status == 204
    assert client.get(SYSTEM).json["Boot"]["BootOrder"] == ["disk", "cdrom", "net"]
    assert ask(Target="Nonsense").messages == ["PropertyValueNotInList"]
    ask(Target="None", Enabled="Disabled")


def test_an_etag_that_has_changed_refuses_the_write(client):
    etag = client.get(SYSTEM).headers["etag"]
    assert client.get(SYSTEM, headers={"If-None-Match": etag}).status == 304
    changed = client.patch(SYSTEM, {"AssetTag": "one"}, headers={"If-Match": etag})
    assert changed.status == 200
    stale = client.patch(SYSTEM, {"AssetTag": "two"}, headers={"If-Match": etag})
    assert stale.status == 412 and stale.messages == ["PreconditionFailed"]
    fresh = client.patch(SYSTEM, {"AssetTag": "two"}, headers={"If-Match": changed.headers["etag"]})
    assert fresh.status == 200
    # As DMTF's protocol validator makes a wrong one: what it has read, and more.
    for wrong in (fresh.headers["etag"] + "foobar", fresh.headers["etag"].strip('"'), '"", x'):
        assert client.patch(SYSTEM, {"AssetTag": "three"}, headers={"If-Match": wrong}).status == 412
    listed = client.patch(SYSTEM, {"AssetTag": "three"},
                          headers={"If-Match": '"other", ' + fresh.headers["etag"]})
    assert listed.status == 200


def test_wrong_requests_are_answered_in_redfishs_words(client):
    assert client.patch(SYSTEM, {"Nonsense": 1}).messages == ["PropertyUnknown"]
    assert client.patch(SYSTEM, {"PowerState": "On"}).messages == ["PropertyNotWritable"]
    assert client.patch(SYSTEM, {"AssetTag": 7}).messages == ["PropertyValueTypeError"]
    assert client.patch(SYSTEM, {}).messages == ["NoOperation"]
    assert client.request("PATCH", SYSTEM, "{nonsense").messages == ["MalformedJSON"]
    mixed = client.patch(SYSTEM, {"AssetTag": "kept", "Nonsense": 1})
    assert mixed.status == 200 and mixed.json["AssetTag"] == "kept"
    told = mixed.json["@Message.ExtendedInfo"]
    assert [one["MessageId"].rpartition(".")[2] for one in told] == ["PropertyUnknown"]
    assert told[0]["RelatedProperties"] == ["#/Nonsense"]
    reset = SYSTEM + "/Actions/ComputerSystem.Reset"
    assert client.post(reset, {}).messages == ["ActionParameterMissing"]
    assert client.post(reset, {"ResetType": "Explode"}).messages == ["ActionParameterValueNotInList"]
    assert client.post(reset, {"ResetType": "On", "More": 1}).messages == ["ActionParameterUnknown"]
    assert client.get(SYSTEM + "/None").messages == ["ResourceMissingAtURI"]
    assert client.get(reset).headers["allow"] == "POST"
    refused = client.delete(SYSTEM)
    assert refused.status == 405 and refused.headers["allow"] == "GET, HEAD, PATCH"
    head = client.request("HEAD", SYSTEM)
    assert head.status == 200 and head.body == b""
    assert client.get("/redfish/v1/", headers={"OData-Version": "3.0"}).status == 412


def test_query_parameters(client):
    entries = "/redfish/v1/Managers/sp/LogServices/audit/Entries"
    whole = client.get(entries).json
    assert whole["Members@odata.count"] > 4
    page = client.get(entries + "?$top=2&$skip=1").json
    assert [m["Id"] for m in page["Members"]] == [m["Id"] for m in whole["Members"][1:3]] or \
        len(page["Members"]) == 2
    assert client.get(entries + "?$skip=99999").messages == ["QueryParameterOutOfRange"]
    assert client.get(entries + "?$top=x").messages == ["QueryParameterValueFormatError"]
    for query in ("only=foo", "excerpt=foo"):
        assert client.get(entries + "?" + query).messages == ["QueryParameterValueFormatError"]
    warnings = client.get(entries + "?$filter=Severity eq 'Warning'").json
    assert all(m["Severity"] == "Warning" for m in warnings["Members"])
    assert warnings["Members@odata.count"] < whole["Members@odata.count"]
    accounts = "/redfish/v1/AccountService/Accounts"
    found = client.get(accounts + "?$filter=RoleId eq 'Administrator' and not (UserName eq 'x')").json
    assert found["Members"] == [{"@odata.id": accounts + "/root"}]
    assert client.get(accounts + "?$filter=RoleId eq").status == 400
    expanded = client.get(accounts + "?$expand=.($levels=1)").json
    assert expanded["Members"][0]["UserName"] == "root"
    selected = client.get(SYSTEM + "?$select=PowerState,Boot/BootSourceOverrideTarget").json
    assert set(selected) == {"@odata.id", "@odata.type", "@odata.etag", "Id", "Name", "PowerState",
                             "Boot"}
    assert set(selected["Boot"]) == {"BootSourceOverrideTarget"}
    assert client.get("/redfish/v1/Systems?only").json["Id"] == "host0"
    assert client.get(SYSTEM + "?$orderby=x").status == 501
    assert client.get(SYSTEM + "?unknown=1").status == 200
    assert client.get(SYSTEM + "?$top=1").status == 400


def test_accounts_and_roles(sp, client):
    accounts = "/redfish/v1/AccountService/Accounts"
    made = client.post(accounts, {"UserName": "carol", "Password": "Carol-Horse-77",
                                  "RoleId": "Operator"})
    assert made.status == 201 and made.headers["location"] == accounts + "/carol"
    assert "role = cro" in sp.lom("show", "/SP/users/carol").stdout
    carol = Client(sp, "carol", "Carol-Horse-77")
    refused = carol.patch("/redfish/v1/AccountService/Accounts/root", {"RoleId": "ReadOnly"})
    assert refused.status == 403 and refused.messages == ["InsufficientPrivilege"]
    assert carol.patch(accounts + "/carol", {"Password": "Another-Horse-9"}).status == 200
    assert client.patch(accounts + "/carol", {"RoleId": "OpenLOM-cr"}).status == 200
    assert client.get("/redfish/v1/AccountService/Roles/OpenLOM-cr").status == 200
    assert client.post(accounts, {"UserName": "dave"}).messages == ["PropertyMissing"] * 2
    assert client.delete(accounts + "/carol").status == 204
    assert carol.get(SYSTEM).status == 401
    assert client.get(accounts + "/carol").status == 404


def test_sessions(sp, client):
    other = Client(sp)
    listed = client.get("/redfish/v1/SessionService/Sessions").json["Members"]
    assert {"@odata.id": other.session} in listed
    assert client.delete(other.session).status == 204
    assert other.get(SYSTEM).status == 401
    mine = Client(sp)
    assert mine.delete(mine.session).status == 204
    assert mine.get(SYSTEM).status == 401
    anonymous = Client(sp, log_in=False)
    assert anonymous.get("/redfish/v1/").status == 200
    assert anonymous.get("/redfish/v1/$metadata").body.startswith(b"<?xml")
    assert anonymous.get("/redfish/v1/odata").status == 200
    nobody = anonymous.get("/redfish/v1/Systems")
    assert nobody.status == 401 and nobody.headers["www-authenticate"].startswith("Basic")
    wrong = anonymous.post("/redfish/v1/SessionService/Sessions",
                           {"UserName": "root", "Password": "wrong"})
    assert wrong.status == 401 and wrong.messages == ["NoValidSession"]


def test_http_basic_is_one_session_for_many_requests(sp, client):
    import base64
    basic = Client(sp, log_in=False)
    token = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
    basic.headers["Authorization"] = "Basic " + token
    before = client.get("/redfish/v1/SessionService/Sessions").json["Members@odata.count"]
    for _ in range(5):
        assert basic.get(SYSTEM).status == 200
    after = client.get("/redfish/v1/SessionService/Sessions").json["Members@odata.count"]
    assert after == before + 1


def test_the_tree_as_json(sp, client):
    tree = "/redfish/v1/Oem/OpenLOM/Tree"
    root = client.get(tree + "?depth=2&describe").json
    assert "HOST" in [t["Id"] for t in root["Targets"]]
    users = client.get(tree + "/SP/users?describe").json
    assert [v["Name"] for v in users["Description"]["Verbs"]] == ["create"]
    made = client.post(tree + "/SP/users/erin",
                       {"Verb": "create", "Properties": {"password": "Erin-Horse-5", "role": "o"}})
    assert made.status == 201, made
    answer = client.patch(tree + "/SP/users/erin", {"role": "cro"})
    assert answer.json["Set"] == [{"Property": "role", "Text": "cro", "Message": ""}]
    assert client.patch(tree + "/SP/users/erin", {"role": "xyz"}).status == 400
    assert client.delete(tree + "/SP/users/erin").status == 200
    assert client.get(tree + "/SP/users/erin").status == 404
    table = client.get(tree + "/SP/logs/audit/list").json["Table"]
    assert table["Columns"][0] == "ID"


def test_every_target_of_the_tree_can_be_read_through_redfish(client):
    tree = "/redfish/v1/Oem/OpenLOM/Tree"

    def paths(target):
        yield target["Path"]
        for child in target.get("Targets", []):
            yield from paths(child)
    for path in paths(client.get(tree + "?depth=12").json):
        status = client.get(tree + (path if path != "/" else "")).status
        # A screen without its lom-kvm says that there is none now.
        assert status == 200 or (status == 503 and path == "/HOST/screen"), path


PROFILE = SCHEMAS / "OpenStackIronicProfile.v1_2_0.json"


def required(requirements, key="ReadRequirement"):
    return requirements.get(key, "Mandatory" if key == "ReadRequirement" else "") == "Mandatory"


def profile_problems(resource, requirements, where):
    """What the profile asks for and the resource lacks, by name, reading and allowable values."""
    problems = []
    for name, wanted in requirements.get("PropertyRequirements", {}).items():
        if name not in resource:
            if required(wanted):
                problems.append(f"{where}: no {name}")
            continue
        value = resource[name]
        if "MinCount" in wanted and len(value) < wanted["MinCount"]:
            problems.append(f"{where}: {name} has fewer than {wanted['MinCount']}")
        if "MinSupportValues" in wanted:
            allowed = resource.get(name + "@Redfish.AllowableValues", value)
            for needed in wanted["MinSupportValues"]:
                if needed not in allowed:
                    problems.append(f"{where}: {name} does not take {needed}")
        if isinstance(value, dict):
            problems += profile_problems(value, wanted, f"{where}/{name}")
    for name, wanted in requirements.get("ActionRequirements", {}).items():
        actions = resource.get("Actions", {})
        action = next((a for n, a in actions.items() if n.endswith("." + name)), None)
        if action is None:
            if required(wanted):
                problems.append(f"{where}: no action {name}")
            continue
        for parameter, needs in wanted.get("Parameters", {}).items():
            allowed = action.get(parameter + "@Redfish.AllowableValues", [])
            for needed in needs.get("ParameterValues", needs.get("AllowableValues", [])):
                if needed not in allowed:
                    problems.append(f"{where}: {name} {parameter} does not take {needed}")
    return problems


def test_the_ironic_profile_is_satisfied(everything):
    if not PROFILE.exists():
        pytest.skip(f"no {PROFILE} (OPENLOM_REDFISH_SCHEMAS names another folder)")
    profile = json.loads(PROFILE.read_text())
    seen = {}
    for answer in everything.values():
        kind = answer.json["@odata.type"].lstrip("#").split(".")[0]
        seen.setdefault(kind, []).append(answer.json)
    problems = []
    for kind, requirements in profile["Resources"].items():
        if kind not in seen:
            if required(requirements):
                problems.append(f"no {kind}")
            continue
        for resource in seen[kind]:
            if resource["@odata.id"].endswith("/Settings"):
                continue  # the pending side of another resource
            uris = requirements.get("URIs")
            if uris and not any(resource["@odata.id"].startswith(u.split("{")[0]) for u in uris):
                continue
            problems += profile_problems(resource, requirements, resource["@odata.id"])
    assert not problems, "\n".join(problems)
