"""The store of a run: the embedded LocalStack, a named S3, or a folder; and its PUT ceiling.

Safety:

- Without `allow_remote` only loopback endpoints are used.
- A lake that holds objects is refused. It is emptied only on request, and only where windfleet
  made the buckets.
- The ceiling is measured in a scratch bucket of each process, and never on a remote store. They are
  removed again, unless it goes away with the run's own server.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import lake, ports, settings
from pipeline.retry import Retrying
from pipeline.settings import Settings, SettingsError
from pipeline.store import S3ObjectStore
from sim.chaos.choice import Note
from sim.chaos.faults import KINDS, Fault
from sim.check import LakeReader
from sim.errors import StoreOptionError, TargetError
from sim.measure.ceiling import measure
from sim.store import folder, localstack, processes
from sim.store.gateway import BODIES_IN_MEMORY_BYTES, Gateway
from sim.store.localstack import EmbeddedLocalStack
from sim.store.s3_lake import s3_lake
from sim.store.server_record import Server

if TYPE_CHECKING:
    from sim.chaos.proxy import FaultProxy

CEILING_S = 1.0
CEILING_BYTES = 16_384
"""About the mean of a batch's objects: three of rows, and three small ones."""
CEILING_THREADS = 8


@dataclass(frozen=True)
class Options:
    """Options of the command line.

    port, gateway, processes: of the embedded store. folder: the lake as files, no S3. shared: other
    parts of the run write into the same lake, which may hold objects. first: this is the first of
    them. embedded: whatever endpoint
    the environment names.
    """

    endpoint_url: str | None = None
    port: int | None = None
    keep: bool = False
    empty_lake: bool = False
    allow_remote: bool = False
    folder: Path | None = None
    gateway: Gateway = "short"
    processes: int = 1
    shared: bool = False
    first: bool = False
    embedded: bool = False


@dataclass(frozen=True)
class Target:
    """A store that answers and has the six buckets: an endpoint, or a folder.

    server: the embedded LocalStack, if it is one. kept: it goes on after the run.
    """

    endpoint_url: str = ""
    server: EmbeddedLocalStack | None = None
    folder: Path | None = None
    kept: bool = False

    @property
    def is_named(self) -> bool:
        """True for an endpoint that the user named, which other parts may use as well."""
        return self.server is None and self.folder is None

    @property
    def store(self) -> Settings:
        """Settings of the endpoint's client. The embedded server takes none from the environment.

        Raises SettingsError.
        """
        own, by_bucket = self.server is not None, self.processes > 1
        return settings.settings(self.endpoint_url, own, by_bucket)

    @property
    def lake(self) -> LakeReader:
        """The lake in it, for the oracle."""
        return s3_lake(self.store) if self.folder is None else LakeReader.folder(self.folder)

    def require_alive(self) -> None:
        """Raise TargetError when the embedded server has died. Costs microseconds."""
        if self.server is not None:
            self.server.require_alive()

    @property
    def ours(self) -> EmbeddedLocalStack | Server | None:
        """The embedded LocalStack, or that of `store up`; None: the store of somebody else."""
        if self.server is not None:
            return self.server
        up = None if self.folder is not None else localstack.status()
        return up if up is not None and up.endpoint_url == self.endpoint_url else None

    @property
    def processes(self) -> int:
        """Processes of a store of ours; 1 for any other."""
        return 1 if (ours := self.ours) is None else ours.processes

    def described(self) -> dict[str, str]:
        """Return the entries of a result's `environment`.

        These are the store and, if it is ours, its gateway, and its processes if it has several.
        """
        found = {"store": str(self)}
        if (ours := self.ours) is not None:
            found["gateway"] = ours.gateway
            if ours.processes > 1:
                found["store_processes"] = str(ours.processes)
        return found

    def __str__(self) -> str:
        if self.folder is not None:
            return "a folder of files"
        if (ours := self.ours) is None:
            return self.endpoint_url
        kind = "embedded LocalStack" if self.server is not None else "LocalStack of `store up`"
        several = processes.named(ours.processes)
        return f"{kind}, {ours.gateway} gateway{several}, {self.endpoint_url}"


def kind_of(options: Options) -> str:
    """Return the kind of store: `folder`, `s3`, or `embedded` with its gateway.

    Raises TargetError.
    """
    if options.folder is not None:
        return "folder"
    return "s3" if endpoint_of(options) is not None else f"embedded {options.gateway}"


def endpoint_of_environment() -> str | None:
    """Return the endpoint of the standard AWS variables, if any.

    Raises StoreOptionError for no URL.
    """
    try:
        return settings.endpoint_of_environment()
    except SettingsError as error:
        raise StoreOptionError(str(error)) from error


def endpoint_of(options: Options) -> str | None:
    """Return the endpoint of the command line or the environment; None: the embedded store.

    Raises TargetError.
    """
    named = options.endpoint_url or (None if options.embedded else endpoint_of_environment())
    if named is None:
        return None
    try:
        if not settings.parsed(named).loopback and not options.allow_remote:
            only = "windfleet goes there only with --allow-remote"
            raise TargetError(f"{named} is not on this machine; {only}")
        settings.settings(named)
    except SettingsError as error:
        raise TargetError(str(error)) from error
    return named


def opening(options: Options) -> str:
    """Return the name of the phase that opens the store. Raises TargetError."""
    if options.folder is not None:
        return f"making the lake in {options.folder}"
    endpoint_url = endpoint_of(options)
    return "starting LocalStack" if endpoint_url is None else f"opening the store {endpoint_url}"


def require_empty(options: Options) -> None:
    """Raise TargetError or LakeError unless a named endpoint answers and its lake can be used.

    It can be used if it is empty or may be emptied. For commands that work long before they open
    the store. Changes nothing.
    """
    endpoint_url = endpoint_of(options)
    if endpoint_url is not None:
        name = lake.first_object(endpoint_url)
        if not options.empty_lake:
            _refuse_objects(endpoint_url, name)


def require_room(options: Options, lake_bytes: int) -> None:
    """Raise TargetError if an embedded server has no room for the lake. lake_bytes: an estimate.

    The stock gateway keeps bodies in memory, which is not judged here.
    """
    if options.folder is not None or options.gateway == "stock" or endpoint_of(options) is not None:
        return
    need_bytes = lake_bytes - BODIES_IN_MEMORY_BYTES
    place = tempfile.gettempdir()
    free = shutil.disk_usage(place).free
    if free < need_bytes:
        need = f"the embedded LocalStack will keep about {need_bytes / 1e6:,.0f} MB of objects"
        fix = "free some space, or name a folder on another disk with TMPDIR"
        raise TargetError(f"{place}: {need} and only {free / 1e6:,.0f} MB are free; {fix}")


def _refuse_objects(endpoint_url: str, name: str | None) -> None:
    """Raise TargetError for a lake with objects. name: of one of them."""
    if name is not None:
        ways = "--empty-lake, or `windfleet store empty` with its endpoint"
        fix = f"a run needs it empty; {ways}, removes them if windfleet made the buckets"
        raise TargetError(f"the lake at {endpoint_url} already holds objects ({name}); {fix}")


def require_proxy_possible(options: Options, faults: Sequence[Fault]) -> None:
    """Raise TargetError if there are faults of the wire, and the store can have no fault proxy."""
    if options.folder is not None:
        if _of_the_wire(faults):
            raise TargetError(
                "faults of the wire need an S3 server, not a folder; run without: --set 'faults=[]'"
            )
        return
    endpoint_url = endpoint_of(options)
    if _of_the_wire(faults) and endpoint_url is not None:
        from sim.chaos.proxy import address  # it serves HTTP

        try:
            address(endpoint_url)
        except ValueError as error:
            raise TargetError(f"{error}; run without faults: --set 'faults=[]'") from error


@contextmanager
def fault_proxy(
    target: Target,
    seed: int,
    faults: Sequence[Fault],
    note: Note = lambda point, times: None,
) -> Iterator[FaultProxy | None]:
    """Run the fault proxy in front of a target; None if no fault needs it.

    note: see `Note`. Raises TargetError.
    """
    wire = _of_the_wire(faults)
    if not wire:
        yield None
        return
    from sim.chaos.proxy import FaultProxy  # it serves HTTP

    try:
        with FaultProxy(target.endpoint_url, seed, wire, note) as proxy:
            yield proxy
    except (ValueError, TimeoutError) as error:
        text = f"{error}" or "a late commit was not made in time"
        raise TargetError(f"the fault proxy: {text}") from error


def _of_the_wire(faults: Sequence[Fault]) -> list[tuple[int, Fault]]:
    return [
        (number, fault) for number, fault in enumerate(faults) if "wire" in KINDS[fault.kind].layers
    ]


@contextmanager
def opened(options: Options) -> Iterator[Target]:
    """Open a target for the block. Raises TargetError, LakeError or OSError before any change."""
    if options.folder is not None:
        folder.make(options.folder)
        yield Target(folder=options.folder)
        return
    endpoint_url = endpoint_of(options)
    if endpoint_url is not None:
        yield _prepared(Target(endpoint_url), options)
        return
    with embedded(options) as target:
        yield target


@contextmanager
def embedded(options: Options) -> Iterator[Target]:
    """Run the embedded LocalStack for the block, whatever endpoint the environment names.

    Raises TargetError, LakeError.
    """
    server = EmbeddedLocalStack(options.gateway, options.processes)
    server.start(options.port, detach=options.keep)
    kept = False
    try:
        prepared = _prepared(Target(server.endpoint_url, server, kept=options.keep), options)
        kept = options.keep
        yield prepared
    finally:
        if not kept:
            server.stop()


def _prepared(target: Target, options: Options) -> Target:
    if options.empty_lake:
        lake.empty(target.store)
    # Parts need the buckets only. What a bucket lacks besides, the first part or `store up` sets.
    if not options.shared or options.first or lake.missing(target.store):
        lake.ensure(target.store)
    if not options.shared:
        _refuse_objects(target.endpoint_url, lake.first_object(target.store))
    return target


def ceiling(target: Target) -> float | None:
    """Return the PUTs per second that the store takes from this machine; None for a remote store.

    Measured for CEILING_S seconds. Raises TargetError, LakeError.
    """
    if target.folder is not None or not lake.is_loopback(target.endpoint_url):
        return None
    store = Retrying(S3ObjectStore(target.store))
    passing = target.server is not None and not target.kept
    with ExitStack() as stack:
        buckets = cycle(
            [
                stack.enter_context(
                    lake.scratch(target.store, not passing, partial(processes.placed, process=each))
                )
                for each in range(target.processes)
            ]
        )

        def put(key: str, body: bytes) -> None:
            store.create(next(buckets), key, body)

        try:
            return measure(put, CEILING_BYTES, CEILING_THREADS, CEILING_S)
        except ports.StoreError as error:
            raise TargetError(
                f"{target.endpoint_url}: its PUT ceiling cannot be measured: {error}"
            ) from error
