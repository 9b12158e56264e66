"""A Unity Catalog on loopback, made of the models of its OpenAPI description. A tool of tests.

The models, paths and parameters are those of `unitycatalog-client`, which is generated from
`api/all.yaml` of unitycatalog/unitycatalog (Apache-2.0). A path, a query parameter or a field that
the description does not have is refused; so is a body of another type, a name that is there
already, and a reference to something that is not.

Not covered: rights, paging, validation of roles and URLs, anything that only Databricks has.
"""

from __future__ import annotations

import inspect
import json
import re
import threading
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from pydantic import BaseModel, ValidationError
from unitycatalog.client import api

BASE = "/api/2.1/unity-catalog"
APIS = (
    api.CatalogsApi,
    api.SchemasApi,
    api.TablesApi,
    api.CredentialsApi,
    api.ExternalLocationsApi,
    api.GrantsApi,
)
PARTS = {"schemas": ("catalog_name", "name"), "tables": ("catalog_name", "schema_name", "name")}
"""Fields that make the full name of an object; `name` alone for other collections."""
PARENTS = {
    "schemas": ("catalogs", ("catalog_name",)),
    "tables": ("schemas", ("catalog_name", "schema_name")),
    "external-locations": ("credentials", ("credential_name",)),
}
"""Collection -> the one that it refers to, and the fields that name the object there."""


@dataclass(frozen=True)
class Operation:
    """One call of the description. body: its model, or None. query: names of its parameters."""

    method: str
    path: str
    body: type[BaseModel] | None
    answer: type[BaseModel]
    query: frozenset[str]

    def matches(self, method: str, path: str) -> re.Match[str] | None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        return re.fullmatch(pattern, path) if method == self.method else None


class _Recorder:
    """Stands for the client's HTTP layer and returns the description of a call."""

    def select_header_accept(self, accepts: list[str]) -> str:
        return accepts[0]

    def select_header_content_type(self, types: list[str]) -> str:
        return types[0]

    def param_serialize(self, **call: Any) -> dict[str, Any]:
        return call


def operations() -> Iterator[Operation]:
    """Yield the calls of APIS."""
    for kind in APIS:
        client = kind(_Recorder())
        for name, method in vars(kind).items():
            if name.startswith("_") or name.endswith(("_with_http_info", "_content")):
                continue
            hints = typing.get_type_hints(inspect.unwrap(method))
            given = [each for each in hints if not each.startswith("_") and each != "return"]
            call = getattr(client, f"_{name}_serialize")(
                **dict.fromkeys(given),
                **dict.fromkeys(("_request_auth", "_content_type", "_headers"), None),
                _host_index=0,
            )
            models = {each: model for each in given if (model := _model(hints[each]))}
            in_path = set(re.findall(r"\{(\w+)\}", call["resource_path"]))
            answer = _model(hints["return"])
            if answer is None:
                continue  # DELETE: nothing here deletes
            yield Operation(
                call["method"],
                call["resource_path"],
                next(iter(models.values()), None),
                answer,
                frozenset(set(given) - in_path - set(models)),
            )


def _model(hint: Any) -> type[BaseModel] | None:
    for each in (hint, *typing.get_args(hint)):
        if inspect.isclass(each) and issubclass(each, BaseModel):
            return each
    return None


class Refused(Exception):
    """An answer that is an error: HTTP status, Databricks' code and the reason."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


@dataclass
class UnityStub:
    """The catalogue in memory. calls: method, path and body of each request, in order."""

    url: str
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    grants: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    known: list[Operation] = field(default_factory=lambda: list(operations()))

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """Return the body of the answer. Raises Refused."""
        for operation in self.known:
            if found := operation.matches(method, path):
                break
        else:
            raise Refused(404, "ENDPOINT_NOT_FOUND", f"no {method} {path} in the description")
        if strange := set(query) - operation.query:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"unknown parameters {sorted(strange)}")
        if operation.body:
            _require(operation.body, body)
        names = {name: unquote(text) for name, text in found.groupdict().items()}
        collection = path.split("/")[1]
        if collection == "permissions":
            made = self._granted(names, body or {"changes": []})
        elif method == "POST":
            made = self._create(collection, body)
        elif names:
            made = self._found(collection, *names.values())
        else:
            (listed,) = [name for name in operation.answer.model_fields if "token" not in name]
            held = self.objects.get(collection, {}).values()
            wanted = {name: text for name, text in query.items() if name.endswith("_name")}
            made = {listed: [each for each in held if wanted.items() <= each.items()]}
        _require(operation.answer, made)
        return made

    def _create(self, collection: str, body: dict[str, Any]) -> dict[str, Any]:
        if parent := PARENTS.get(collection):
            self._found(parent[0], ".".join(body[each] for each in parent[1]))
        name = ".".join(body[each] for each in PARTS.get(collection, ("name",)))
        held = self.objects.setdefault(collection, {})
        if name in held:
            raise Refused(409, "ALREADY_EXISTS", f"{collection}: {name} exists")
        held[name] = {**body, **({"full_name": name} if collection == "schemas" else {})}
        return held[name]

    def _found(self, collection: str, name: str) -> dict[str, Any]:
        try:
            return self.objects[collection][name]
        except KeyError:
            raise Refused(404, "DOES_NOT_EXIST", f"{collection}: no {name}") from None

    def _granted(self, names: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
        collection = f"{names['securable_type'].replace('_', '-')}s"
        self._found(collection, names["full_name"])
        held = self.grants.setdefault(f"{collection}/{names['full_name']}", {})
        for change in body["changes"]:
            held.setdefault(change["principal"], []).extend(change.get("add", []))
        return {
            "privilege_assignments": [
                {"principal": principal, "privileges": list(privileges)}
                for principal, privileges in held.items()
            ]
        }


def _require(model: type[BaseModel], body: Any) -> None:
    """Refuse a body that is not the model's, or that has a field which the model drops."""
    try:
        made = model.model_validate(body)
    except ValidationError as error:
        raise Refused(400, "INVALID_PARAMETER_VALUE", f"{model.__name__}: {error}") from error
    known = made.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if known != body:
        differs = sorted(key for key in {*known, *body} if known.get(key) != body.get(key))
        raise Refused(400, "INVALID_PARAMETER_VALUE", f"{model.__name__} has no such {differs}")


@contextmanager
def serving() -> Iterator[UnityStub]:
    """Serve a new, empty stub on 127.0.0.1 for the block."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            stub.calls.append((self.command, self.path, body))
            try:
                if not url.path.startswith(f"{BASE}/"):
                    raise Refused(404, "ENDPOINT_NOT_FOUND", f"no {url.path}")
                query = dict(parse_qsl(url.query))
                self.reply(200, stub.answer(self.command, url.path[len(BASE) :], query, body))
            except Refused as error:
                self.reply(error.status, {"error_code": error.code, "message": str(error)})

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one

        def reply(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub = UnityStub(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()


def client(stub: UnityStub, monkeypatch: pytest.MonkeyPatch, empty: Path) -> WorkspaceClient:
    """Return the unmodified client of Databricks, for the stub and nothing else.

    It sees no variable, no profile and no proxy of this machine. empty: an empty folder.
    """
    import os

    for name in list(os.environ):
        if name.startswith(("DATABRICKS_", "ARM_", "AZURE_", "GOOGLE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(empty / "none"))
    config = Config(host=stub.url, token="of-a-test", auth_type="pat", retry_timeout_seconds=5)
    return WorkspaceClient(config=config)
