"""Readiness of a LocalStack: a real PUT and GET, with the standard library, in milliseconds.

"200 OK" and "Ready." are not enough: with an unsuitable Python LocalStack gives both without S3.
"""

import http.client
import json

import psutil

from sim.store.processes import placed

REQUEST_TIMEOUT_S = 10
PROBE_BUCKET = "windfleet-readiness-probe"
# LocalStack reads service and region from the scope, and verifies no signature.
SCOPE = "test/20240101/us-east-1/s3/aws4_request"
HEADERS = {"Authorization": f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=0"}


def listens(pid: int, port: int) -> bool:
    """Return True if this process listens there: another LocalStack would look healthy, too."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp4")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def s3_works(port: int, process: int = 0) -> bool:
    """Return True if a process runs S3, and an object can be put, read back and removed.

    Raises OSError, HTTPException, ValueError or KeyError while the server is still starting.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_S)
    try:
        health = json.loads(_request(connection, "GET", "/_localstack/health")[1])
        if health["services"].get("s3") != "running":
            return False
        bucket = placed(PROBE_BUCKET, process)
        key, body = f"/{bucket}/probe", b"windfleet"
        return (
            _request(connection, "PUT", f"/{bucket}")[0] == 200
            and _request(connection, "PUT", key, body)[0] == 200
            and _request(connection, "GET", key) == (200, body)
            and _request(connection, "DELETE", key)[0] == 204
            and _request(connection, "DELETE", f"/{bucket}")[0] == 204
        )
    finally:
        connection.close()


def _request(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> tuple[int, bytes]:
    connection.request(method, path, body or None, HEADERS)
    response = connection.getresponse()
    return response.status, response.read()
