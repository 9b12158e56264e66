"""Settings of Spark: this machine only, and the lake's S3 as S3A reads it.

The process gets these and nothing of the user's environment, so that no variable (AWS_*, SPARK_*,
proxies, JAVA_TOOL_OPTIONS) changes where requests go. Its working directory and Java's home are a
folder of the call, so that no file of the user (`~/.aws`, `~/.ivy2`, `conf/spark-defaults.conf`) is
read, and nothing is left where the user stands. Every server of Spark binds 127.0.0.1.
Keys go by the process's environment, a proxy's password by standard input: settings would show in
the list of processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pipeline.catalog import ledger
from pipeline.settings import KEY, SECRET, TOKEN, Settings
from sim.query.spark.home import SparkHome

LOOPBACK: Final = "127.0.0.1"
MEMORY: Final = "2g"
_SHORT: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A call is too short for the second compiler: 34 s of CPU, not 61, for 407 objects and a view."""
_PLAIN: Final = {
    "threads.keepalivetime": "60",
    "connection.establish.timeout": "30000",
    "connection.timeout": "200000",
    "connection.request.timeout": "0",
    "connection.acquisition.timeout": "60000",
    "connection.idle.time": "60000",
    "connection.ttl": "300000",
    "multipart.purge.age": "86400",
    "attempts.maximum": "5",
    "retry.limit": "5",
    "path.style.access": "true",
    "impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
}
"""S3A 3.3 under Hadoop 3.5: the newer defaults are durations such as 60s, which it cannot read."""


def environment(home: SparkHome, s3: Settings | None) -> dict[str, str]:
    """Return the whole environment of the process."""
    found = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "JAVA_HOME": str(home.java),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_HOSTNAME": "localhost",
    }
    if s3 is not None:
        keys = s3.credentials
        found |= {KEY: keys.key, SECRET: keys.secret}
        if keys.token is not None:
            found[TOKEN] = keys.token
    return found


def configuration(home: SparkHome, folder: Path, scratch: Path, now: str) -> dict[str, str]:
    """Return the settings of a session with its state in `folder`.

    now: the clock as an ISO instant, "" for the machine's.
    """
    places = (f'"-Djava.io.tmpdir={scratch}"', f'"-Duser.home={scratch}"')
    java = ("-Duser.timezone=UTC", *places)
    return {
        "spark.master": "local[2]",
        "spark.app.name": "windfleet",
        "spark.log.level": "ERROR",
        "spark.driver.memory": MEMORY,
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.extraClassPath": home.classpath,
        "spark.driver.extraJavaOptions": " ".join((*java, *_SHORT)),
        "spark.local.dir": str(scratch),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": LOOPBACK,
        "spark.connect.grpc.binding.port": "0",
        "spark.sql.artifact.isolation.enabled": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.connect.serverStacktrace.enabled": "false",
        "spark.sql.extensions": "WindfleetExtensions",
        "spark.sql.pipelines.maxFlowRetryAttempts": "0",
        "spark.sql.runSQLOnFiles": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
        "spark.sql.warehouse.dir": f"file://{folder}/tables",
        "spark.windfleet.now": now,
        "spark.windfleet.read_files": _options(),
    }


def s3a(s3: Settings) -> dict[str, str]:
    """Return the settings of S3A. They hold no secret."""
    provider = (
        "TemporaryAWSCredentialsProvider"
        if s3.credentials.token
        else "SimpleAWSCredentialsProvider"
    )
    found = {
        **_PLAIN,
        "endpoint": s3.server.url,
        "endpoint.region": s3.region,
        "connection.ssl.enabled": "true" if s3.server.scheme == "https" else "false",
        "aws.credentials.provider": f"org.apache.hadoop.fs.s3a.{provider}",
    }
    if s3.proxy is not None:
        proxy = urlsplit(s3.proxy)
        found |= {"proxy.host": str(proxy.hostname), "proxy.port": str(proxy.port or 80)}
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in found.items()} | {
        "spark.hadoop.fs.s3.impl": _PLAIN["impl"]
    }


def secrets(s3: Settings) -> dict[str, str]:
    """Return the settings of S3A that no list of processes may show: the proxy's user."""
    proxy = urlsplit(s3.proxy or "")
    if proxy.username is None:
        return {}
    return {
        "fs.s3a.proxy.username": unquote(proxy.username),
        "fs.s3a.proxy.password": unquote(proxy.password or ""),
    }


def _options() -> str:
    """Return the options of the ledger as the extension reads them: name=value|value;..."""
    found = []
    for option in ledger.OPTIONS:
        values = option.spark_values
        if option.spark:
            form = "*" if values == () else "#" if values is None else "|".join(values)
            found.append(f"{option.name}={form}")
    return ";".join(found)
