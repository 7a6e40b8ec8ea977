"""A Redfish client for tests, and DMTF's schemas to check answers against.

    client = Client(sp)                     # logs in
    client.get("/redfish/v1/Systems").json  # status, headers, json
    Schemas().problems(resource)            # a list of sentences
"""

import functools
import http.client
import json
import os
import pathlib
import re
import ssl
import tarfile

from tests.support.lomd import PASSWORD

SCHEMAS = pathlib.Path(os.environ.get("OPENLOM_REDFISH_SCHEMAS", pathlib.Path(__file__).parents[3] / "shared/redfish"))


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        try:
            self.json = json.loads(self.body)
        except ValueError:
            self.json = None

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"

    @property
    def messages(self):
        return [info["MessageId"].rsplit(".", 1)[1]
                for info in self.json["error"]["@Message.ExtendedInfo"]]


def no_check():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    def __init__(self, sp, user="root", password=PASSWORD, log_in=True):
        self.sp = sp
        self.headers = {}
        self.connection = None
        if log_in:
            answer = self.post("/redfish/v1/SessionService/Sessions",
                               {"UserName": user, "Password": password})
            assert answer.status == 201, answer
            self.session = answer.headers["location"]
            self.headers["X-Auth-Token"] = answer.headers["x-auth-token"]

    def request(self, method, path, body=None, headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.sp.ports["https"], context=no_check(), timeout=60)
            try:
                self.connection.request(method, path.replace(" ", "%20"), body,
                                        {**self.headers, "Content-Type": "application/json",
                                         **(headers or {})})
                return Answer(self.connection.getresponse())
            except (ConnectionError, http.client.HTTPException, ssl.SSLError):
                self.connection = None  # a kept connection that the service has closed
                if attempt == 2:
                    raise

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body if body is not None else {}, **more)

    def patch(self, path, body, **more):
        return self.request("PATCH", path, body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)


class Schemas:
    """DMTF's JSON schemas, from the folder that OPENLOM_REDFISH_SCHEMAS names."""

    def __init__(self):
        bundle = sorted(SCHEMAS.glob("json-schema-*.tar.xz"))
        self.files = {}
        with tarfile.open(bundle[-1]) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".json"):
                    name = pathlib.PurePath(member.name).name
                    self.files[name] = archive.extractfile(member).read()

    @staticmethod
    def missing():
        if not list(SCHEMAS.glob("json-schema-*.tar.xz")):
            return f"no DMTF schemas in {SCHEMAS} (OPENLOM_REDFISH_SCHEMAS names another folder)"
        return ""

    @functools.lru_cache(maxsize=None)
    def load(self, name):
        return json.loads(self.files[name])

    def fetch(self, uri):
        name = uri.split("#")[0].rsplit("/", 1)[1]
        if name not in self.files:
            raise KeyError(f"no schema {name}")
        return self.load(name)

    def problems(self, resource):
        import jsonschema
        kind = resource["@odata.type"].lstrip("#")
        name = ".".join(kind.split(".")[:-1]) + ".json"
        if name not in self.files:
            return [f"{kind}: DMTF has no schema {name}"]
        schema = self.load(name)
        resolver = jsonschema.RefResolver(
            "http://redfish.dmtf.org/schemas/v1/" + name, schema,
            handlers={"http": self.fetch, "https": self.fetch})
        validator = jsonschema.Draft7Validator(schema, resolver=resolver)
        found = []
        for error in validator.iter_errors(resource):
            found += [f"{resource['@odata.id']}: {'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
                      for e in leaves(error)]
        return found


def leaves(error):
    """The innermost reasons: of an anyOf, those of the versioned alternative."""
    if not error.context:
        return [error]
    branches = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    best = max(branches.values(), key=lambda es: max(len(e.absolute_path) for e in es))
    return [leaf for inner in best for leaf in leaves(inner)]


def links_in(value):
    """Every @odata.id in a resource."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "@odata.id" and isinstance(inner, str):
                yield inner
            elif key in ("Members@odata.nextLink", "Uri", "ServerSentEventUri") and \
                    isinstance(inner, str) and inner.startswith("/redfish"):
                yield inner
            else:
                yield from links_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links_in(inner)


def walk(client, start="/redfish/v1/", skip=re.compile(r"/Oem/OpenLOM/Tree|/EventService/SSE|/SchemaStore/")):
    """Every resource that can be reached from `start`, by its address."""
    seen = {}
    todo = [start]
    while todo:
        uri = todo.pop()
        if uri.rstrip("/") in seen or skip.search(uri) or "#" in uri:
            continue
        answer = client.get(uri)
        seen[uri.rstrip("/")] = answer
        if answer.json:
            todo += links_in(answer.json)
    return seen
