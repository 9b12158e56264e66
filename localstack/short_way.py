"""A short way for plain objects: PUT, GET and HEAD, straight to LocalStack's own S3 provider.

LocalStack parses a request by the specification of all of S3, in 25 handlers behind WSGI: 3 ms of
CPU time, of which its provider takes a tenth. Most requests here are plain: path style, no query,
a few headers, a body of known length. These are answered in the thread of the HTTP server.

The stock gateway answers everything else:

- other methods, queries, buckets with versions, locks, events or a key of their own, virtual hosts
- headers that are not in the tables below, given twice, or with an odd value
- keys with anything but letters, digits, `-._~=` and single slashes
- bodies in chunks, and bodies of more than MOST_BYTES
- whatever raises: the provider's own refusals, too. It has then changed nothing

So an error has one source, LocalStack's own. What the short way does itself is only this: read the
headers, and write those of an answer 200 or 206. For a key that is not there, which each node of a
new lake asks for, it calls LocalStack's serializer of errors itself.

It knows VERSIONS. It leans on the provider's three methods, on the render of rolo's WSGI resource
(called once a request is complete, in the reactor's thread), and on twisted's raw headers. Where
one moves, `require_known_versions` refuses to start.
"""

import contextlib
import importlib.metadata
import io
import json
import re
import traceback
import uuid

from bodies import BusyError
from localstack.aws.api.s3 import NoSuchKey

MOST_BYTES = 4 << 20
"""Of a body. A larger one would keep others waiting."""
MOST_PRINCIPALS = 1_000
VERSIONS = {
    "localstack-core": ("4.13.1", "4.14.0"),
    "rolo": ("0.8.9",),
    "localstack-twisted": ("25.5.0",),
}

TARGET = re.compile(
    rb"/(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
    rb"/(?P<key>(?:[A-Za-z0-9._~=-]|%3[Dd])+(?:/(?:[A-Za-z0-9._~=-]|%3[Dd])+)*)"
)
HOST = re.compile(rb"(?:127\.0\.0\.1|localhost)(?::\d{1,5})?")
CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[A-Za-z0-9]+)/\d{8}/(?P<region>[a-z0-9-]+)"
    r"/s3/aws4_request"
)
HASH = re.compile(rb"[0-9a-f]{64}|UNSIGNED-PAYLOAD")
PLAIN = re.compile(rb"[!-~](?:[ -~]*[!-~])?")
META = b"x-amz-meta-"
COUNTS = b"/_windfleet/requests"
"""Path that answers with the number of requests that each way has answered."""

CHECKED = {  # header -> pattern of the values that are known
    b"host": HOST,
    b"accept": re.compile(rb"\*/\*"),
    b"connection": re.compile(rb"(?i:keep-alive|close)"),
    b"content-length": re.compile(rb"\d{1,9}"),
    b"expect": re.compile(rb"(?i:100-continue)"),
    b"x-amz-content-sha256": HASH,
}
UNUSED = {  # without any effect in LocalStack
    *(b"accept-encoding", b"user-agent", b"x-amz-date", b"x-amz-user-agent"),
    *(b"amz-sdk-invocation-id", b"amz-sdk-request"),
}
PUT_MEMBERS = {
    b"content-md5": "ContentMD5",
    b"content-type": "ContentType",
    b"if-match": "IfMatch",
    b"if-none-match": "IfNoneMatch",
    b"x-amz-checksum-crc32": "ChecksumCRC32",
    b"x-amz-checksum-crc32c": "ChecksumCRC32C",
    b"x-amz-checksum-crc64nvme": "ChecksumCRC64NVME",
    b"x-amz-checksum-sha1": "ChecksumSHA1",
    b"x-amz-checksum-sha256": "ChecksumSHA256",
    b"x-amz-sdk-checksum-algorithm": "ChecksumAlgorithm",
}
GET_MEMBERS = {
    b"if-match": "IfMatch",
    b"if-none-match": "IfNoneMatch",
    b"range": "Range",
    b"x-amz-checksum-mode": "ChecksumMode",
}
OPERATIONS = {
    b"PUT": ("PutObject", "put_object", PUT_MEMBERS),
    b"GET": ("GetObject", "get_object", GET_MEMBERS),
    b"HEAD": ("HeadObject", "head_object", GET_MEMBERS),
}
STATUS = {200: "HTTP/1.1 200 OK\r\n", 206: "HTTP/1.1 206 PARTIAL CONTENT\r\n"}
# as LocalStack's serializer of S3 has it
LAST_HEADERS = (
    "x-amz-id-2: s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234=\r\n"
    "x-localstack: true\r\n"
)


class NotPlainError(Exception):
    """A request for the stock gateway."""


def require_known_versions(
    what="the short way",
    fix="use the stock gateway (--gateway stock), or read localstack/short_way.py against it",
):
    """Exit with a message if a package has a version that `what` was not read against."""
    for package, known in VERSIONS.items():
        version = importlib.metadata.version(package)
        if version not in known:
            raise SystemExit(f"{what} knows {package} {' and '.join(known)}, not {version}: {fix}")


class Asked:
    """The part of a request that the provider reads."""

    __slots__ = ("headers",)

    def __init__(self, headers):
        self.headers = headers


class Context:
    """The part of LocalStack's RequestContext that the provider reads."""

    __slots__ = ("account_id", "region", "request")

    def __init__(self, account_id, region, request):
        self.account_id = account_id
        self.region = region
        self.request = request


class ShortWay:
    """Answers plain requests from a provider. Used in the reactor's thread only."""

    def __init__(self, provider):
        from localstack.aws.protocol.serializer import create_serializer
        from localstack.aws.spec import load_service

        self._provider = provider
        self._principals = {}
        self._reported = set()
        service = load_service("s3")
        self._serializer = create_serializer(service)
        self._operations = {
            name: service.operation_model(name) for name, _, _ in OPERATIONS.values()
        }
        self._headers = {name: _output_headers(each) for name, each in self._operations.items()}

    def answers(self, request):
        """Answer a request and return True; False leaves it to the stock gateway."""
        try:
            head, body = self._answer(request)
        except (NotPlainError, BusyError):
            return False
        except Exception as error:
            self._report(error)
            return False
        request.startedWriting = 1
        request.channel.transport.writeSequence([head, body] if body else [head])
        request.finish()
        return True

    def _report(self, error):
        """Print an error of a new kind, unless it is an answer of S3."""
        from localstack.aws.api import ServiceException

        kind = repr(traceback.extract_tb(error.__traceback__)[-1])
        if not isinstance(error, ServiceException) and kind not in self._reported:
            self._reported.add(kind)
            print("the stock gateway answers what the short way failed at:", flush=True)
            traceback.print_exception(error)

    def _answer(self, request):
        """Return head and body of the answer. Raises NotPlainError and the provider's errors."""
        operation, method, members = OPERATIONS.get(request.method, (None, None, None))
        target = TARGET.fullmatch(request.uri)
        if not operation or not target or request.clientproto != b"HTTP/1.1":
            raise NotPlainError
        bucket, key = target["bucket"].decode(), target["key"]
        asked = {"Bucket": bucket, "Key": key.replace(b"%3D", b"=").replace(b"%3d", b"=").decode()}
        authorization, length = self._read(request, members, asked)
        account, region = self._principal(authorization)
        if operation == "PutObject":
            if length is None or length > MOST_BYTES:
                raise NotPlainError
            asked["Body"] = request.content
        elif length:
            raise NotPlainError
        context = Context(account, region, Asked({}))
        _, found = self._provider._get_cross_account_bucket(context, bucket)
        if not _is_plain(found):
            raise NotPlainError
        try:
            response = getattr(self._provider, method)(context, asked)
        except NoSuchKey as error:
            if operation == "PutObject":
                raise
            return self._missing(operation, request, error)
        return self._written(operation, request, response)

    def _read(self, request, members, asked):
        """Fill `asked` from the headers. Return the authorization and the length of the body."""
        authorization = length = None
        metadata = {}
        for name, values in request.requestHeaders._rawHeaders.items():
            name, value = name.lower(), values[0]
            if len(values) != 1 or not PLAIN.fullmatch(value):
                raise NotPlainError
            if pattern := CHECKED.get(name):
                if not pattern.fullmatch(value):
                    raise NotPlainError
                if name == b"content-length":
                    length = int(value)
            elif member := members.get(name):
                asked[member] = value.decode()
            elif name == b"authorization":
                authorization = value.decode()
            elif name.startswith(META) and name != META and members is PUT_MEMBERS:
                metadata[name[len(META) :].decode()] = value.decode()
            elif name not in UNUSED:
                raise NotPlainError
        if metadata:
            asked["Metadata"] = metadata
        return authorization, length

    def _principal(self, authorization):
        """Return account and region of an authorization."""
        scope, _, rest = (authorization or "").partition(",")
        if scope not in self._principals:
            if len(self._principals) >= MOST_PRINCIPALS:
                self._principals.clear()
            self._principals[scope] = _principal_of(scope)
        principal = self._principals[scope]
        if principal is None or "Credential=" in rest:
            raise NotPlainError
        return principal

    def _missing(self, operation, request, error):
        """Return head and body for a key that is not there, by LocalStack's own serializer."""
        answer = self._serializer.serialize_error_to_response(
            error, self._operations[operation], None, str(uuid.uuid4())
        )
        lines = [f"HTTP/1.1 {answer.status}\r\n", *_first_headers(request)]
        lines += [f"{name}: {value}\r\n" for name, value in answer.headers]
        head = "".join([*lines, "x-localstack: true\r\n\r\n"])
        return head.encode("latin-1"), b"" if operation == "HeadObject" else answer.get_data()

    def _written(self, operation, request, response):
        """Return head and body of a response of the provider."""
        lines = [STATUS[response.pop("StatusCode", 200)], *_first_headers(request)]
        body = response.pop("Body", None)
        if "ContentType" in response:
            lines.append(f"Content-Type: {response.pop('ContentType')}\r\n")
        known = self._headers[operation]
        if not known.keys() >= response.keys():
            raise NotPlainError
        for member in sorted(response, key=known.__getitem__):
            value, (_, header) = response[member], known[member]
            if member == "Metadata":
                lines += [f"{header}{name}: {text}\r\n" for name, text in value.items()]
            elif value is not None:
                lines.append(f"{header}: {value}\r\n")
        lines += f"x-amz-request-id: {uuid.uuid4()}\r\n", LAST_HEADERS
        if operation == "PutObject":
            lines.append("Content-Length: 0\r\n")
        head = "".join([*lines, "\r\n"])
        if head.count("\r\n") != head.count("\n") or head.count("\r\n\r\n") != 1:
            raise NotPlainError
        content = b""
        if body is not None:
            if int(response["ContentLength"]) > MOST_BYTES:
                raise NotPlainError
            content = body.read() if hasattr(body, "read") else b"".join(body)
        return head.encode("latin-1"), content


def _first_headers(request):
    """Yield the lines of the headers that twisted has set."""
    for name, values in request.responseHeaders._rawHeaders.items():
        for value in values:
            yield f"{name.decode()}: {value.decode()}\r\n"


def _output_headers(operation):
    """Return place and header of each member of an output that is written as text."""
    simple = ("string", "long", "integer")
    late = ("LastModified", "Metadata")  # LocalStack gives this time as text
    return {
        name: (place, shape.serialization["name"])
        for place, (name, shape) in enumerate(operation.output_shape.members.items())
        if shape.serialization.get("location") in ("header", "headers")
        and (shape.type_name in simple or name in late)
    }


def _principal_of(scope):
    """Return account and region of a credential scope, as LocalStack has them; None: odd."""
    from localstack.aws.accounts import get_account_id_from_access_key_id
    from localstack.aws.handlers import rewrite_region

    match = CREDENTIAL.fullmatch(scope)
    regions = rewrite_region.region_rewriter_strategy.available_regions
    if not match or match["region"] not in regions:
        return None
    return get_account_id_from_access_key_id(match["key"]), match["region"]


def _is_plain(bucket):
    """Return True for a bucket without versions, locks, events, and keys of its own."""
    rule = (bucket.encryption_rule or {}).get("ApplyServerSideEncryptionByDefault", {})
    return (
        bucket.versioning_status is None
        and not bucket.object_lock_enabled
        and not bucket.notification_configuration
        and rule.get("SSEAlgorithm", "AES256") == "AES256"
    )


def install(providers):
    """Put the short way before rolo's WSGI resource.

    providers: a list that holds the S3 provider, once it has been made.
    """
    from rolo.serving import twisted as serving
    from twisted.web.server import NOT_DONE_YET

    stock = serving.HeaderPreservingWSGIResource.render
    buffered = serving.TwistedRequestAdapter.gotLength
    ways = []
    answered = {"short": 0, "stock": 0}

    def render(self, request):
        if request.uri == COUNTS:
            return json.dumps(answered).encode()
        if providers and not ways:
            ways.append(ShortWay(providers[0]))
        if ways and ways[0].answers(request):
            answered["short"] += 1
            return NOT_DONE_YET
        answered["stock"] += 1
        with contextlib.suppress(AttributeError):
            request.content.seek(0)
        return stock(self, request)

    def got_length(self, length):
        # twisted would make a temporary file for a body of 100 kB
        if length is not None and length <= MOST_BYTES:
            self.content = io.BytesIO()
        else:
            buffered(self, length)

    serving.HeaderPreservingWSGIResource.render = render
    serving.TwistedRequestAdapter.gotLength = got_length
    # an access log that nothing reads, by way of twisted's log system
    serving.TwistedGateway.log = lambda self, request: None
