"""Several processes behind one endpoint: each owns some buckets, and answers for them alone.

One Python process answers a limited number of requests, whatever the machine. The first process
(0) listens. A connection belongs to the process that owns the bucket of its current request:

- The lines of a request's head are kept until its last one. If another process owns the bucket,
  the connection moves there, with all bytes of the request so far. It moves by a file descriptor
  over a socket between the two, once the answers before it are written.
- So nothing is relayed: every request is parsed, answered and closed by its owner, as in one
  process. A client that keeps a connection per bucket pays for one move per connection. One that
  mixes buckets on a connection pays for a move whenever the owner changes.

The buckets that are named at the start go round the processes in that order. A name that windfleet
gives may end with the number of its process (PLACED); any other goes by its checksum. Requests
without a bucket belong to process 0. ListBuckets asks the other processes for theirs, by the path
`/_windfleet/PROCESS/buckets/ACCOUNT`.

If a process ends, all others end.

Refused, with a message: a copy from a bucket of another process. Not covered: TLS, HTTP/2, and
settings of a bucket that name a bucket of another process.
"""

import collections
import datetime
import functools
import http.client
import json
import os
import re
import signal
import socket
import types
import zlib
from urllib.parse import unquote_to_bytes

EXIT_PROCESS_ENDED = 97
INTERNAL = re.compile(rb"/_windfleet/(?P<process>\d{1,3})(?P<rest>/[^?]*)")
PLACED = re.compile(rb"windfleet-.*-process-(\d{1,3})")
HOST = re.compile(rb"(?i)host:[ \t]*(.*)")
MOST_BYTES = 64 << 20
"""Of one message between processes: a head and what came with it."""


class Processes:
    """The processes of a store, as one of them sees them.

    index: of this process. links: process -> socket to it. children: pids, of process 0 only.
    """

    def __init__(self, count, buckets):
        self.count, self.index = count, 0
        self.links, self.children, self.ending = {}, [], False
        self.owners = {name.encode(): place % count for place, name in enumerate(buckets)}

    def fork(self):
        """Start the other processes. Returns in each of them, before anything has a thread."""
        pairs = {
            (one, other): socket.socketpair()
            for one in range(self.count)
            for other in range(one + 1, self.count)
        }
        for index in range(1, self.count):
            if (pid := os.fork()) == 0:
                self.index, self.children = index, []
                break
            self.children.append(pid)
        for (one, other), (here, there) in pairs.items():
            if self.index in (one, other):
                ours, theirs = (here, there) if self.index == one else (there, here)
                self.links[other if self.index == one else one] = ours
                theirs.close()
            else:
                here.close()
                there.close()

    def owner(self, first, *headers):
        """Return the process that a request belongs to, by the lines of its head."""
        target = first.split(b" ")[1] if first.count(b" ") > 1 else b""
        if internal := INTERNAL.fullmatch(target):
            return int(internal["process"]) % self.count
        for line in headers:
            if b".s3." in line and (host := HOST.fullmatch(line)):
                from localstack.services.s3.utils import uses_host_addressing

                if name := uses_host_addressing({"host": host[1].decode("latin-1")}):
                    return self.owner_of(name.encode("latin-1"))
        if not target.startswith(b"/"):  # a whole URL
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        name = target.partition(b"?")[0].lstrip(b"/").partition(b"/")[0]
        return self.owner_of(unquote_to_bytes(name) if b"%" in name else name)

    def owner_of(self, bucket):
        """Return the process that owns a bucket."""
        owner = self.owners.get(bucket)
        if owner is not None:
            return owner
        if not bucket or bucket.startswith(b"_"):
            return 0
        placed = PLACED.fullmatch(bucket)
        return (int(placed[1]) if placed else zlib.crc32(bucket)) % self.count

    def end(self):
        """End the processes that this one has started. The first call does."""
        if self.ending:
            return
        self.ending = True
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
        for pid in self.children:
            os.waitpid(pid, 0)
        self.children.clear()


def share_connections(processes, factory):
    """Let the HTTP server of `factory` move connections to the other processes, and take theirs.

    Returns the factory of the connections that this process accepts.
    """
    from rolo.serving.twisted import HeaderPreservingHTTPChannel
    from twisted.internet import interfaces, protocol, reactor
    from twisted.protocols.basic import Int32StringReceiver
    from zope.interface import implementer

    site = getattr(factory, "wrappedFactory", factory)  # inside a factory for TLS

    links = {}

    @implementer(interfaces.IFileDescriptorReceiver)
    class Link(Int32StringReceiver):
        """The socket to another process. A message is a connection; an empty one confirms it."""

        MAX_LENGTH = MOST_BYTES

        def __init__(self, peer):
            self.peer = peer
            self.sent, self.received = collections.deque(), collections.deque()

        def move(self, connection, request):
            """Hand over a connection with the begin of a request."""
            self.sent.append(connection)  # stays open until it has arrived
            self.transport.sendFileDescriptor(connection.fileno())
            self.sendString(request)

        def fileDescriptorReceived(self, descriptor):
            self.received.append(descriptor)

        def stringReceived(self, message):
            if not message:
                self.sent.popleft().close()
                return
            self.sendString(b"")
            with socket.socket(fileno=self.received.popleft()) as connection:
                try:
                    taken = reactor.adoptStreamConnection(connection.fileno(), socket.AF_INET, site)
                except OSError:  # the client has gone
                    return
            taken.protocol.dataReceived(message)

        def connectionLost(self, reason):
            if processes.ending:  # who ends them exits by itself
                return
            if processes.index == 0:
                print(f"process {self.peer} of the store has ended", flush=True)
            processes.end()
            os._exit(EXIT_PROCESS_ENDED)

    class Channel(HeaderPreservingHTTPChannel):
        """A connection. It moves before a request that another process owns."""

        def __init__(self):
            super().__init__()
            self._lines = []
            self._moving = None

        def lineReceived(self, line):
            lines = self._lines
            if line or not lines:
                if line:
                    lines.append(line)
                return super().lineReceived(line)
            self._lines = []
            owner = processes.owner(*lines)
            if owner == processes.index:
                return super().lineReceived(line)
            self._move(owner, b"\r\n".join([*lines, b"", self._buffer]))
            return None

        def _move(self, owner, request):
            self._buffer = b""
            self.requests.clear()
            self._moving = owner, self.transport.socket.dup(), request
            # Closes this process's end only, when everything before is written.
            self.transport._shouldShutdown = False
            self.loseConnection()

        def connectionLost(self, reason):
            super().connectionLost(reason)
            if self._moving is not None:
                owner, connection, request = self._moving
                links[owner].move(connection, request)

    site.protocol = Channel
    for peer, link in processes.links.items():
        link.setblocking(False)
        ours = protocol.Factory.forProtocol(functools.partial(Link, peer))
        with link:
            links[peer] = reactor.adoptStreamConnection(
                link.fileno(), socket.AF_UNIX, ours
            ).protocol
    return site


def answer_internally(processes, providers):
    """Answer the paths of this file before rolo's WSGI resource. After the short way's patch."""
    from rolo.serving import twisted as serving

    outer = serving.HeaderPreservingWSGIResource.render

    def render(self, request):
        if (internal := INTERNAL.fullmatch(request.uri)) is None:
            return outer(self, request)
        _, _, account = internal["rest"].partition(b"/buckets/")
        if account and providers:
            store = providers[0].get_store(account.decode("latin-1"), "us-east-1")
            return json.dumps(
                [
                    [each.name, each.creation_date.isoformat(), each.bucket_region]
                    for each in list(store.buckets.values())
                ]
            ).encode()
        request.uri = b"/_windfleet" + internal["rest"]
        return outer(self, request)

    serving.HeaderPreservingWSGIResource.render = render


def patch_provider(provider, processes, port, providers):
    """Let ListBuckets name the buckets of all processes, and refuse copies between two.

    provider: class of the S3 provider. providers: gets the provider, once it has been made.
    """
    from localstack.aws.api import CommonServiceException
    from localstack.services.s3.utils import extract_bucket_key_version_id_from_copy_source

    initialize, list_buckets = provider.__init__, provider.list_buckets

    @functools.wraps(initialize)
    def initialized(self, *args, **kwargs):
        initialize(self, *args, **kwargs)
        providers.append(self)

    class Everywhere:
        """A provider whose buckets are those of all processes."""

        def __init__(self, one, buckets):
            self._one, self._buckets = one, buckets

        def __getattr__(self, name):
            return getattr(self._one, name)

        def get_store(self, account, region):
            own = self._one.get_store(account, region).buckets
            return types.SimpleNamespace(buckets={**self._buckets, **own})

    @functools.wraps(list_buckets)
    def of_all(self, context, *args, **kwargs):
        others = (each for each in range(processes.count) if each != processes.index)
        found = [each for peer in others for each in _buckets_of(port, peer, context.account_id)]
        return list_buckets(
            Everywhere(self, {each.name: each for each in found}), context, *args, **kwargs
        )

    def within(method):
        @functools.wraps(method)
        def copy(self, context, request):
            source = extract_bucket_key_version_id_from_copy_source(request.get("CopySource"))[0]
            if processes.owner_of(source.encode()) != processes.index:
                raise CommonServiceException(
                    "NotImplemented",
                    f"{source} and {request['Bucket']} belong to different processes of this "
                    "store: copy by GET and PUT, or start it with --store-processes 1",
                    501,
                )
            return method(self, context, request)

        return copy

    provider.__init__ = initialized
    provider.list_buckets = of_all
    provider.copy_object = within(provider.copy_object)
    provider.upload_part_copy = within(provider.upload_part_copy)


def _buckets_of(port, process, account):
    """Return the buckets of an account that another process owns."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/_windfleet/{process}/buckets/{account}")
        found = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return [
        types.SimpleNamespace(
            name=name,
            creation_date=datetime.datetime.fromisoformat(created),
            bucket_region=region,
            bucket_arn=f"arn:aws:s3:::{name}",
        )
        for name, created, region in found
    ]


def own_directory(processes):
    """Give this process a directory of its own. Before LocalStack is imported."""
    if processes.index:
        directory = os.path.join(os.environ["FILESYSTEM_ROOT"], str(processes.index))
        os.makedirs(directory, exist_ok=True)
        os.environ["FILESYSTEM_ROOT"] = directory
