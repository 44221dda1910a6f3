"""What `helm test` runs in the served image: asks the Service as a caller would. Standard library only."""

import json
import os
import sys
import urllib.error
import urllib.request


def ask(path, body=None, key=""):
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["SERVICE_URL"] + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def expect(path, wanted, body=None, key=""):
    status, text = ask(path, body, key)
    print(path, status)
    if status != wanted:
        sys.exit(f"{path} answered {status}, not {wanted}: {text[:500].decode(errors='replace')}")
    return text


for probe in ("/livez", "/readyz"):
    expect(probe, 200)
text = {"text": "Not bad at all, I loved it."}
key = os.environ.get("API_KEY", "")
if os.environ["KEYS_NEEDED"] == "yes":
    expect("/predict", 401, text)
if key or os.environ["KEYS_NEEDED"] == "no":
    answer = json.loads(expect("/predict", 200, text, key))
    print("model version", answer["model_version"], "says", answer["label"])
    if abs(sum(answer["probabilities"].values()) - 1) > 1e-6:
        sys.exit(f"the probabilities do not add up: {answer}")
else:
    print("no prediction was asked for: helmTest.keySecret is not set")
