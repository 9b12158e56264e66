"""Whether a LocalStack really serves S3: asked with the standard library alone, so that asking costs milliseconds.

"200 OK" and "Ready." are not enough: on an unsuitable Python LocalStack says both without ever loading S3.
"""

import http.client
import json

import psutil

REQUEST_TIMEOUT_S = 10
PROBE_BUCKET = "windfleet-readiness-probe"
# LocalStack reads the service and the region from the scope, and verifies nothing.
SCOPE = "test/20240101/us-east-1/s3/aws4_request"
HEADERS = {"Authorization": f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=0"}


def listens(pid: int, port: int) -> bool:
    """Whether it is our process that listens: a stranger's LocalStack on the port would look healthy, too."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp4")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def s3_works(port: int) -> bool:
    """Health says running, and an object can be put, read back and removed.

    Raises OSError, HTTPException, ValueError or KeyError while the server is not there or not itself yet.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_S)
    try:
        if (
            json.loads(_request(connection, "GET", "/_localstack/health")[1])["services"].get("s3")
            != "running"
        ):
            return False
        key, body = f"/{PROBE_BUCKET}/probe", b"windfleet"
        return (
            _request(connection, "PUT", f"/{PROBE_BUCKET}")[0] == 200
            and _request(connection, "PUT", key, body)[0] == 200
            and _request(connection, "GET", key) == (200, body)
            and _request(connection, "DELETE", key)[0] == 204
            and _request(connection, "DELETE", f"/{PROBE_BUCKET}")[0] == 204
        )
    finally:
        connection.close()


def _request(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> tuple[int, bytes]:
    connection.request(method, path, body or None, HEADERS)
    response = connection.getresponse()
    return response.status, response.read()
