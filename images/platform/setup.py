"""What the services need before they start: bucket, folders, Airflow's tables. Run again, it changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import boto3

from sentiment.settings import load_settings

settings = load_settings()
for folder in (Path(os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]), settings.local_dir):
    folder.mkdir(parents=True, exist_ok=True)
bucket, s3 = settings.storage.root.removeprefix("s3://").partition("/")[0], boto3.client("s3")
if bucket not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
    s3.create_bucket(Bucket=bucket)
sys.exit(subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"]).returncode)
