"""The botocore client for what the lake needs beside objects: buckets, tags, lifecycle, uploads.

botocore reads some fifty variables and two files by itself. Its session is given a store of constants in their place,
so that endpoint, region, keys, certificates, proxies, retries and monitoring are those of the settings.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, ConfigValueStore, ConstantProvider
from botocore.plugin import PluginContext, reset_plugin_context, set_plugin_context
from botocore.session import Session

from pipeline.settings import Settings
from pipeline.wire import ca_bundle

_CONSTANTS = {
    "config_file": os.devnull,
    "credentials_file": os.devnull,
    "ignore_configured_endpoint_urls": True,
}


@lru_cache(maxsize=8)
def s3_client(settings: Settings, connect_timeout_s: float, read_timeout_s: float) -> Any:
    """A client for the S3 of the settings and no other: path style, one attempt per call. One per process."""
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
    plugins = set_plugin_context(PluginContext(plugins="DISABLED"))
    try:
        return session.create_client(
            "s3",
            endpoint_url=server.url,
            config=config,
            verify=ca_bundle(settings) if server.scheme == "https" else True,
            aws_access_key_id=settings.credentials.key,
            aws_secret_access_key=settings.credentials.secret,
            aws_session_token=settings.credentials.token,
        )
    finally:
        reset_plugin_context(plugins)


def _constants() -> ConfigValueStore:
    """botocore's own defaults, each as a constant: no variable and no file is asked."""
    store = ConfigValueStore()
    for name, (_, _, default, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items():
        store.set_config_provider(name, ConstantProvider(_CONSTANTS.get(name, default)))
    return store
