"""Start LocalStack with windfleet's patches.

    python -I launcher.py                     serve until SIGTERM
    python -I launcher.py --with-parent DIR   the same; exit and remove DIR when our parent is gone
    python -I launcher.py --processes 2 ...   several processes behind one endpoint: processes.py
    python -I launcher.py --prepare           build the index of service specs once, at installation

It is run by the python of `.localstack/venv` and never imported. LocalStack's own environment
variables configure everything but these patches:

- Listing. With `encoding-type=url` (boto3 and DuckDB always request it) LocalStack compares quoted
  keys with unquoted markers. So keys with a `=`, that is every hive path, go missing without an
  error (upstream issue 13745). 4.14.0 quotes the markers of `list_objects_v2`, too, but quoted keys
  sort otherwise: `%` comes before a letter. 4.14.0 writes continuation tokens as UTF-8 and
  reads them as ASCII: pages that begin with an `é` end in a 500.
- Listening. The twisted server ignores the host of GATEWAY_LISTEN and binds every interface. Here
  it binds 127.0.0.1 only. If the port is taken, the process ends with EXIT_PORT_TAKEN; LocalStack
  would go on as a server that nobody reaches.
- Stopping. Nothing is persisted, so the process exits at once instead of after three seconds.
- Starting. Without a prepared index every start parses all of botocore: 3 s and 350 MB more.
  Python searches for garbage only from the moment it listens: imports make none, and 0.4 of 1.9
  CPU seconds went there.

Not covered: persistence, TLS names, any service but S3.
"""

import argparse
import base64
import functools
import gc
import os
import pathlib
import select
import shutil
import sys
import threading
from urllib.parse import quote

EXIT_PORT_TAKEN = 98
INDEX = pathlib.Path(sys.prefix, "share", "service-index")

PAGED = ("list_objects_v2", "list_objects", "list_object_versions")
"""Methods of the S3 provider whose paging compares quoted keys (4.13 and 4.14)."""
QUOTED_FIELDS = (
    "Prefix",
    "Delimiter",
    "StartAfter",
    "Marker",
    "NextMarker",
    "KeyMarker",
    "NextKeyMarker",
)
QUOTED_ITEMS = {
    "Contents": "Key",
    "Versions": "Key",
    "DeleteMarkers": "Key",
    "CommonPrefixes": "Prefix",
}


def quote_response(response):
    """Quote a listing in place, in the form of `encoding-type=url`."""
    for field in QUOTED_FIELDS:
        if response.get(field):
            response[field] = quote(response[field])
    for field, name in QUOTED_ITEMS.items():
        for item in response.get(field, ()):
            item[name] = quote(item[name])
    response["EncodingType"] = "url"
    return response


def paging_on_raw_keys(method):
    """Let `method` compare raw keys with raw markers, and quote only its response."""

    @functools.wraps(method)
    def listing(self, context, *args, encoding_type=None, **kwargs):
        response = method(self, context, *args, encoding_type=None, **kwargs)
        return quote_response(response) if encoding_type == "url" else response

    return listing


def patch_paging(provider):
    """Wrap the listings of a provider class."""
    for name in PAGED:
        setattr(provider, name, paging_on_raw_keys(getattr(provider, name)))


def patch_tokens(module):
    """Read continuation tokens in the encoding in which they were written.

    module: the S3 provider. Older versions have other tokens.
    """
    if hasattr(module, "decode_continuation_token"):
        module.decode_continuation_token = lambda value: base64.b64decode(
            value or "", altchars=b"._"
        ).decode()


def port_taken(failure):
    """End the process. LocalStack itself would go on, and report "Ready"."""
    print(f"cannot listen: {failure.getErrorMessage()}", flush=True)
    os._exit(EXIT_PORT_TAKEN)


def patch_listening(store):
    """Bind 127.0.0.1 only. A port that is taken ends the process.

    store: the processes of which only the first one listens; None: there is one.
    """
    import localstack.runtime.server.twisted as server
    from twisted.internet import defer, endpoints

    class Loopback(endpoints.TCP4ServerEndpoint):
        def __init__(self, reactor, port):
            super().__init__(reactor, port, interface="127.0.0.1")

        def listen(self, factory):
            gc.freeze()
            gc.enable()
            if store is not None:
                import processes

                factory = processes.share_connections(store, factory)
                if store.index:
                    factory.doStart()
                    return defer.succeed(None)
            return super().listen(factory).addErrback(port_taken)

    class Endpoints:
        TCP4ServerEndpoint = Loopback

    server.endpoints = Endpoints


def patch_stopping(store):
    """SIGTERM and SIGINT end the process at once, and those of `store` that it has started."""
    from localstack.runtime.runtime import LocalstackRuntime

    LocalstackRuntime.exit = lambda self, code=0: end(store, code)


def end(store, code):
    """Exit, and end the processes of `store` that this one has started."""
    if store is not None:
        store.end()
    os._exit(code)


def several_processes(count, buckets):
    """Start the other processes of a store and return them all. Returns in each of them."""
    import processes

    store = processes.Processes(count, buckets)
    store.fork()
    processes.own_directory(store)
    return store


def patch_processes(store, provider):
    """Let the S3 provider (a class) know the other processes of `store`. After the short way."""
    import processes
    import short_way

    from localstack import config

    short_way.require_known_versions(
        "a store of several processes",
        "use one (--store-processes 1), or read localstack/processes.py against it",
    )
    made = []
    processes.patch_provider(provider, store, config.GATEWAY_LISTEN[0].port, made)
    processes.answer_internally(store, made)


def prepare_short_way():
    """Patch before the S3 provider is imported."""
    import bodies
    import short_way

    short_way.require_known_versions()
    bodies.slim_objects()


def patch_short_way(provider, memory_bytes):
    """Keep bodies in our own storage, and answer plain requests the short way.

    provider: class of the S3 provider. memory_bytes: most bytes of bodies in memory.
    """
    import bodies
    import short_way
    from twisted.python import threadable

    made = []
    initialize = provider.__init__

    def initialize_with_bodies(self):
        storage = bodies.BodyStore(
            os.environ["FILESYSTEM_ROOT"], memory_bytes, lambda: not threadable.isInIOThread()
        )
        initialize(self, storage)
        made.append(self)

    provider.__init__ = initialize_with_bodies
    short_way.install(made)


def end_with_parent(directory, store):
    """Wait for the end of our parent, then remove `directory` and exit, with all of `store`.

    The parent holds the other end of our standard input. Its children may have inherited that end,
    so its pid is watched too.
    """
    parent = os.getppid()
    while os.getppid() == parent and not select.select([sys.stdin], [], [], 1.0)[0]:
        pass
    if store is not None:
        store.end()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description="Start LocalStack for windfleet.")
    parser.add_argument(
        "--with-parent", metavar="DIR", help="exit and remove DIR when our parent is gone"
    )
    parser.add_argument(
        "--prepare", action="store_true", help="build the index of service specs and exit"
    )
    parser.add_argument(
        "--gateway", choices=("short", "stock"), default="stock", help="see short_way.py"
    )
    parser.add_argument(
        "--bodies-in-memory", type=int, metavar="BYTES", help="with the short way: see bodies.py"
    )
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="see processes.py (default: 1)"
    )
    parser.add_argument(
        "--buckets", default="", metavar="A,B,...", help="they go round the processes in this order"
    )
    arguments = parser.parse_args()
    gc.disable()  # until it listens
    sys.path.append(str(pathlib.Path(__file__).parent))  # the modules beside this file
    store = None
    if arguments.processes > 1:
        store = several_processes(arguments.processes, arguments.buckets.split(","))
    if arguments.with_parent and (store is None or store.index == 0):
        threading.Thread(
            target=end_with_parent, args=(arguments.with_parent, store), daemon=True
        ).start()

    from localstack import config

    config.dirs.static_libs = str(INDEX)
    if arguments.prepare:
        from localstack.aws import spec

        INDEX.mkdir(parents=True, exist_ok=True)
        return spec.main()

    if arguments.gateway == "short":
        prepare_short_way()
    from localstack.runtime.main import main as serve
    from localstack.services.s3 import provider

    # LocalStack's own storage would leave its files behind in /tmp.
    provider.DEFAULT_S3_TMP_DIR = os.path.join(os.environ["FILESYSTEM_ROOT"], "s3-storage")
    if arguments.gateway == "short":
        patch_short_way(provider.S3Provider, arguments.bodies_in_memory)
    patch_tokens(provider)
    patch_paging(provider.S3Provider)
    if store is not None:
        patch_processes(store, provider.S3Provider)
    patch_listening(store)
    patch_stopping(store)
    return serve()


if __name__ == "__main__":
    sys.exit(main())
