"""Whether a service is well: ``healthy.py URL [--or-503] [PART]``. PART is one that Airflow's health page speaks of."""

import json
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

url, *rest = sys.argv[1:]
try:
    with urlopen(url, timeout=8) as reply:  # noqa: S310 - an address in the compose file
        said = reply.read()
except HTTPError as error:
    sys.exit(None if error.code == 503 and "--or-503" in rest else f"{url} answers {error.code}")
except OSError as error:
    sys.exit(f"{url}: {error}")
for part in set(rest) - {"--or-503"}:
    status = json.loads(said).get(part, {}).get("status")
    if status != "healthy":
        sys.exit(f"{part} is {status}")
