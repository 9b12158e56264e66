"""Create the six buckets, with tags and lifecycle, once LocalStack in Docker is ready.

A ready.d hook. It reads the same `buckets.json` as `pipeline/lake.py`; boto3 is inside the image.
Safe to run again. By hand, against any LocalStack on port 4566:

    BUCKETS_JSON=pipeline/buckets.json python localstack/init/10-buckets.py
"""

import json
import os
import pathlib

import boto3

data = json.loads(
    pathlib.Path(os.environ.get("BUCKETS_JSON", "/etc/windfleet/buckets.json")).read_text(
        encoding="utf-8"
    )
)
s3 = boto3.client(
    "s3",
    region_name=data["region"],
    endpoint_url=os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
tags = [{"Key": key, "Value": value} for key, value in data["tags"].items()]
for entry in data["buckets"].values():
    name = entry["name"]
    try:
        s3.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": data["region"]}
        )
    except s3.exceptions.BucketAlreadyOwnedByYou:
        print(f"windfleet: bucket {name} exists already")
        continue
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    s3.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": entry["lifecycle"]}
    )
    print(f"windfleet: created bucket {name}")
