"""The objects of the embedded LocalStack: bodies in memory up to a bound, then in files.

LocalStack's own storage keeps every body up to 512 KiB in memory, with 8.5 KiB of locks and tables
beside it. A simulated day of the fleet is 222,000 objects of 80 kB.

- A body never changes. It belongs to its `S3Object`, so an overwrite that fails, by a wrong
  checksum or a full disk, leaves the object as it was. (LocalStack's own storage loses it.)
- Bodies beyond a bound of memory are appended to segments: files without a name, which the system
  removes when the server ends, however it ends. A segment goes when its last body has gone.
- An object takes no dict: its class has slots, and equal parts of objects are one.

Not covered: the room of deleted bodies in a segment that holds a body in use.
"""

import base64
import hashlib
import io
import os
import tempfile
import threading
import time
from collections import deque

from localstack.services.s3 import models
from localstack.services.s3.storage.core import S3ObjectStore, S3StoredMultipart, S3StoredObject
from localstack.services.s3.utils import get_s3_checksum

SEGMENT_BYTES = 256 << 20
LARGE_BYTES = 8 << 20
"""A larger body gets a file of its own."""
CHUNK_BYTES = 65_536
LOCKS = 256
MOST_SHARED = 256
NOTHING = {}


def slim_objects():
    """Give `S3Object` slots in place of a dict. Before the S3 provider is imported."""
    wide = models.S3Object
    names = [*vars(wide(key="")), "body"]
    members = {
        name: value for name, value in vars(wide).items() if name not in ("__dict__", "__weakref__")
    }
    models.S3Object = type(wide.__name__, wide.__bases__, {**members, "__slots__": names})


class Memory:
    """Bytes that bodies hold in memory, up to a bound."""

    def __init__(self, bound):
        self._bound = bound
        self._used = 0
        self._lock = threading.Lock()
        # filled by finalizers, which may run inside any other code: they must take no lock
        self.freed = deque()

    def take(self, size):
        """Return True if there is room for `size` more bytes, which are then taken."""
        with self._lock:
            while self.freed:
                self._used -= self.freed.popleft()
            if self._used + size > self._bound:
                return False
            self._used += size
            return True


class Segment:
    """A file without a name in which bodies lie one after the other."""

    def __init__(self, directory):
        self.file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115
        self.end = 0

    def append(self, data):
        """Write `data` at the end. Raises OSError, and then holds what it held before."""
        view, at = memoryview(data), self.end
        while view:
            written = os.pwrite(self.file.fileno(), view, at)
            view, at = view[written:], at + written
        self.end = at


class Body:
    """The bytes of an object: in memory (`data`), or `size` bytes from `offset` of a segment."""

    __slots__ = ("data", "memory", "offset", "segment", "size")

    def __init__(self, size, data=None, memory=None, segment=None, offset=0):
        self.size = size
        self.data = data
        self.memory = memory
        self.segment = segment
        self.offset = offset

    def __del__(self):
        if self.data is not None:
            self.memory.freed.append(self.size)

    def read(self, begin, size):
        """Return up to `size` bytes from `begin` on."""
        end = min(begin + size, self.size)
        if self.data is not None:
            return self.data if begin == 0 and end == self.size else self.data[begin:end]
        found = []
        while begin < end:
            piece = os.pread(self.segment.file.fileno(), end - begin, self.offset + begin)
            if not piece:
                raise OSError("a body is shorter than it was written")
            found.append(piece)
            begin += len(piece)
        return found[0] if len(found) == 1 else b"".join(found)


class Bodies:
    """Bodies of one server. Safe to share between threads."""

    def __init__(self, directory, memory_bytes):
        self._directory = directory
        self._memory = Memory(memory_bytes)
        self._segment = None
        self._lock = threading.Lock()

    def keep(self, chunks):
        """Return the body made of `chunks`. Raises OSError for a full disk."""
        chunks = iter(chunks)
        begin, size = [], 0
        for chunk in chunks:
            begin.append(chunk)
            size += len(chunk)
            if size > LARGE_BYTES:
                return self._large(begin, chunks)
        return self._small(begin[0] if len(begin) == 1 else b"".join(begin))

    def _small(self, data):
        if self._memory.take(len(data)):
            return Body(len(data), data, self._memory)
        with self._lock:
            if self._segment is None or self._segment.end + len(data) > SEGMENT_BYTES:
                self._segment = Segment(self._directory)
            segment, offset = self._segment, self._segment.end
            segment.append(data)
        return Body(len(data), segment=segment, offset=offset)

    def _large(self, begin, chunks):
        segment = Segment(self._directory)
        for part in (begin, chunks):
            for chunk in part:
                segment.append(chunk)
        return Body(segment.end, segment=segment)


class BusyError(Exception):
    """A key that another thread is writing, where the caller must not wait."""


class StoredBody(S3StoredObject):
    """The body of an object or of a part, open to be read, or to be written as a whole."""

    def __init__(self, bodies, s3_object, mode, lock=None):
        super().__init__(s3_object=s3_object, mode=mode)
        self._bodies = bodies
        self._lock = lock
        self._position = 0
        self._hash = None
        self._etag = None
        self._checksum = None
        self.body = getattr(s3_object, "body", None)

    def close(self):
        """Let others write. LocalStack calls it once more than it opens."""
        self.closed = True
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def read(self, s=-1):
        """Return up to `s` bytes from the position on; -1: all."""
        if self.body is None:
            return b""
        size = self.body.size if s is None or s < 0 else s
        data = self.body.read(self._position, size)
        self._position += len(data)
        return data

    def seek(self, offset, whence=0):
        """Move the position as files do."""
        end = self.body.size if self.body else 0
        self._position = (0, self._position, end)[whence] + offset
        return self._position

    def write(self, stream):
        """Make the whole stream the body. Raises OSError; then the object is as it was."""
        if self._mode != "w":
            raise io.UnsupportedOperation("not open to be written")
        algorithm = self.s3_object.checksum_algorithm
        self._hash = get_s3_checksum(algorithm) if algorithm else None
        md5 = hashlib.md5(usedforsecurity=False)
        updates = [md5.update, *([self._hash.update] if self._hash else [])]
        self.fill(self._bodies.keep(_hashed(stream, updates)))
        self._etag = self.s3_object.etag = md5.hexdigest()
        return self.body.size

    def fill(self, body):
        """Make `body` the body of the object."""
        self.body = self.s3_object.body = body
        self.s3_object.size = body.size
        self.s3_object.internal_last_modified = time.time_ns()

    def append(self, part):
        """Not supported: parts are joined by `Multipart`."""
        raise io.UnsupportedOperation("bodies are written as a whole")

    @property
    def last_modified(self):
        """Time of the last write, ns. Object and body never differ here."""
        return self.s3_object.internal_last_modified

    @property
    def checksum(self):
        """Checksum in base64, by the algorithm of the object; None without one."""
        algorithm = self.s3_object.checksum_algorithm
        if algorithm and self._checksum is None:
            if self._hash is None:
                self._hash = get_s3_checksum(algorithm)
                for chunk in self._all():
                    self._hash.update(chunk)
            self._checksum = base64.b64encode(self._hash.digest()).decode()
        return self._checksum

    @property
    def etag(self):
        """MD5 of the body, in hexadecimal digits."""
        if self._etag is None:
            md5 = hashlib.md5(usedforsecurity=False)
            for chunk in self._all():
                md5.update(chunk)
            self._etag = md5.hexdigest()
        return self._etag

    def _all(self):
        return StoredBody(self._bodies, self.s3_object, "r")

    def __iter__(self):
        while data := self.read(CHUNK_BYTES):
            yield data


def _hashed(stream, updates):
    """Yield the chunks of a stream (None: nothing), each after `updates` has seen it."""
    # What is in memory already is taken as one piece.
    size = -1 if isinstance(stream, io.BytesIO) else CHUNK_BYTES
    while stream is not None and (data := stream.read(size)):
        for update in updates:
            update(data)
        yield data


class Multipart(S3StoredMultipart):
    """An upload in parts. Each part holds its own body."""

    def opened(self, s3_part, mode="r"):
        """Open a part."""
        self.parts[s3_part.part_number] = s3_part
        return StoredBody(self._s3_store.bodies, s3_part, mode)

    open = opened

    def remove_part(self, s3_part):
        """Forget a part."""
        self.parts.pop(s3_part.part_number, None)
        s3_part.body = None

    def complete_multipart(self, parts):
        """Join the parts to the body of the object."""
        store = self._s3_store
        with store.opened(self.bucket, self.s3_multipart.object, mode="w") as stored:
            pieces = (chunk for part in parts for chunk in StoredBody(store.bodies, part, "r"))
            stored.fill(store.bodies.keep(pieces))

    def close(self):
        """Forget all parts."""
        for s3_part in self.parts.values():
            s3_part.body = None
        self.parts.clear()

    def copy_from_object(self, s3_part, src_bucket, src_s3_object, range_data):
        """Make a range of an object (None: all of it) the body of a part."""
        source = StoredBody(self._s3_store.bodies, src_s3_object, "r")
        if range_data:
            source.seek(range_data.begin)
            source = io.BytesIO(source.read(range_data.content_length))
        with self.opened(s3_part, mode="w") as stored:
            stored.write(source)
            if s3_part.checksum_algorithm:
                s3_part.checksum_value = stored.checksum


class BodyStore(S3ObjectStore):
    """The storage of the S3 provider.

    may_wait: tells whether the calling thread may wait for another one that writes the same key.
    """

    def __init__(self, directory, memory_bytes, may_wait=lambda: True):
        self.root_directory = directory
        self.bodies = Bodies(directory, memory_bytes)
        self._may_wait = may_wait
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._multiparts = {}
        self._acl = None
        self._system = {}

    def opened(self, bucket, s3_object, mode="r"):
        """Open an object. Open to be written, it keeps others from writing the key until closed.

        Raises BusyError.
        """
        if mode == "r":
            return StoredBody(self.bodies, s3_object, mode)
        lock = self._locks[hash((bucket, s3_object.key)) % LOCKS]
        if not lock.acquire(blocking=self._may_wait()):
            raise BusyError(s3_object.key)
        self._share(s3_object)
        return StoredBody(self.bodies, s3_object, mode, lock)

    open = opened

    def remove(self, bucket, s3_object):
        """Forget the body of an object, or of each of a list."""
        for each in s3_object if isinstance(s3_object, list) else [s3_object]:
            each.body = None

    def copy(self, src_bucket, src_object, dest_bucket, dest_object):
        """Give an object the body of another one, and return it open."""
        stored = self.opened(dest_bucket, dest_object, mode="w")
        stored.fill(getattr(src_object, "body", None) or self.bodies.keep([]))
        return stored

    def get_multipart(self, bucket, s3_multipart):
        """Return an upload, made at first use."""
        made = Multipart(self, bucket, s3_multipart)
        return self._multiparts.setdefault((bucket, s3_multipart.id), made)

    def remove_multipart(self, bucket, s3_multipart):
        """Forget an upload."""
        if multipart := self._multiparts.pop((bucket, s3_multipart.id), None):
            multipart.close()

    def _share(self, s3_object):
        """Replace what is equal in most objects by one instance: nothing changes it in place."""
        if s3_object.acl != self._acl:
            self._acl = s3_object.acl
        s3_object.acl = self._acl
        system = s3_object.system_metadata
        if len(self._system) < MOST_SHARED:
            s3_object.system_metadata = self._system.setdefault(tuple(system.items()), system)
        s3_object.user_metadata = s3_object.user_metadata or NOTHING
        s3_object.parts = s3_object.parts or NOTHING
