"""The botocore client for everything but objects: buckets, tags, lifecycle, uploads.

botocore reads some fifty variables and two files by itself. Here its session reads constants
instead, so that endpoint, region, keys, certificates, proxies, retries and monitoring are those of
the settings.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from botocore.config import Config
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfigValueStore,
    ConstantProvider,
)
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError
from botocore.plugin import PluginContext, reset_plugin_context, set_plugin_context
from botocore.session import Session

from pipeline.settings import Settings
from pipeline.wire import ca_bundle

_CONSTANTS = {
    "config_file": os.devnull,
    "credentials_file": os.devnull,
    "ignore_configured_endpoint_urls": True,
}


_ROOTS = {
    "GetBucketTagging": "Tagging",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "ListObjectsV2": "ListBucketResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "DeleteObjects": "DeleteResult",
}
"""Operation -> root element of S3's answer. botocore reads any other document as empty."""


@lru_cache(maxsize=8)
def s3_client(settings: Settings, connect_timeout_s: float, read_timeout_s: float) -> Any:
    """Return a client for the S3 of the settings and no other: path style, one attempt per call.

    A process makes one client per settings.
    """
    server = settings.server
    config = Config(
        region_name=settings.region,
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": "path"},
        proxies={server.scheme: settings.proxy} if settings.proxy is not None else {},
        user_agent="windfleet",
    )
    session = Session()
    session.register_component("config_store", _constants())
    session.register_component("data_loader", _loader())
    plugins = set_plugin_context(PluginContext(plugins="DISABLED"))
    try:
        client = session.create_client(
            "s3",
            endpoint_url=server.url,
            config=config,
            verify=ca_bundle(settings) if server.scheme == "https" else True,
            aws_access_key_id=settings.credentials.key,
            aws_secret_access_key=settings.credentials.secret,
            aws_session_token=settings.credentials.token,
        )
        client.meta.events.register("before-parse.s3", _require_root)
        return client
    finally:
        reset_plugin_context(plugins)


def _require_root(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Raise ResponseParserError for a 200 whose body is not S3's."""
    wanted = _ROOTS.get(operation_model.name)
    if wanted is None or response_dict["status_code"] != 200:
        return
    try:
        found = ElementTree.fromstring(response_dict["body"]).tag.rpartition("}")[2]
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ResponseParserError(f"{operation_model.name}: {error}") from None
    if found not in (wanted, "Error"):  # botocore itself raises for an Error inside a 200
        raise ResponseParserError(f"{operation_model.name}: <{found[:40]}> instead of <{wanted}>")


@lru_cache(maxsize=1)
def _loader() -> Loader:
    """Return the reader of botocore's own description of S3, and of no other in `~/.aws/models`.

    It keeps what it has read.
    """
    paths = [Loader.BUILTIN_DATA_PATH]
    return Loader(extra_search_paths=paths, include_default_search_paths=False)


def _constants() -> ConfigValueStore:
    """Return botocore's own defaults as constants. No variable and no file is read."""
    store = ConfigValueStore()
    for name, (_, _, default, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items():
        store.set_config_provider(name, ConstantProvider(_CONSTANTS.get(name, default)))
    return store
