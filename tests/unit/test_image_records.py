"""What is written beside an image: an SBOM and provenance that are valid, complete and true."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from bentos import BuiltBentos
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sentiment.deployment.image_records import Built, base_of, pins, provenance, sbom

DIGEST = "sha256:" + "5" * 64
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
DIGEST_SET = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"enum": ["sha256", "sha512", "gitCommit"]},
    "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{40,}$"},
}
RESOURCE = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}, {"required": ["content"]}],
    "properties": {
        "uri": {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:"},
        "digest": DIGEST_SET,
        "name": {"type": "string"},
        "downloadLocation": {"type": "string"},
        "mediaType": {"type": "string"},
        "content": {"type": "string"},
        "annotations": {"type": "object"},
    },
}
STATEMENT = {  # in-toto Statement v1 with the predicate SLSA Provenance v1, as their specifications have them
    "type": "object",
    "additionalProperties": False,
    "required": ["_type", "subject", "predicateType", "predicate"],
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "subject": {"type": "array", "minItems": 1, "items": {**RESOURCE, "required": ["digest"]}},
        "predicate": {
            "type": "object",
            "additionalProperties": False,
            "required": ["buildDefinition", "runDetails"],
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["buildType", "externalParameters"],
                    "properties": {
                        "buildType": {"type": "string", "pattern": "^[a-z]+:"},
                        "externalParameters": {"type": "object", "minProperties": 1},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {"type": "array", "items": RESOURCE},
                    },
                },
                "runDetails": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["builder"],
                    "properties": {
                        "builder": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["id"],
                            "properties": {
                                "id": {"type": "string", "pattern": "^[a-z]+:"},
                                "version": {"type": "object", "additionalProperties": {"type": "string"}},
                                "builderDependencies": {"type": "array", "items": RESOURCE},
                            },
                        },
                        "metadata": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "invocationId": {"type": "string"},
                                "startedOn": MOMENT,
                                "finishedOn": MOMENT,
                            },
                        },
                        "byproducts": {"type": "array", "items": RESOURCE},
                    },
                },
            },
        },
    },
}


@pytest.fixture
def built(bentos: BuiltBentos) -> Built:
    folder = Path(bentos.first.path)
    return Built(
        folder=folder,
        tag=bentos.first.tag,
        repository="registry.example/team/sentiment",
        digest=DIGEST,
        base=base_of(folder),
        builder="docker",
        invocation="",
        began=datetime(2030, 1, 1, 12, 0, tzinfo=UTC),
        ended=datetime(2030, 1, 1, 12, 5, tzinfo=UTC),
        debian=("libc6 2.36-9+deb12u14 amd64", "zlib1g 1:1.2.13.dfsg-1 amd64"),
    )


def test_the_sbom_is_valid_cyclonedx(built: Built) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(sbom(built))) is None


def test_the_sbom_names_what_is_pinned_with_its_hashes_and_what_the_base_has(built: Built) -> None:
    parts = {part["name"]: part for part in sbom(built)["components"]}
    pinned = {pin.name: pin for pin in pins((built.folder / "src/images/serving/requirements.txt").read_text())}
    assert len(pinned) > 50
    assert "cffi" not in pinned, "it is for another Python"
    for name, pin in pinned.items():
        assert parts[name]["version"] == pin.version
        assert parts[name]["purl"] == f"pkg:pypi/{name}@{pin.version}"
        assert {one["content"] for one in parts[name]["hashes"]} == set(pin.sha256)
    assert pinned["numpy"].version.startswith("2.4"), "the one for the served Python"
    assert parts["zlib1g"]["purl"] == "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64"
    model = parts["sentiment"]
    assert (model["type"], model["version"]) == ("machine-learning-model", "1")
    assert model["hashes"][0]["content"] == built.manifest.scorer_digest


def test_the_same_image_has_the_same_sbom(built: Built) -> None:
    assert sbom(built) == sbom(built)
    other = Built(**{**vars(built), "digest": "sha256:" + "6" * 64})
    assert sbom(other)["serialNumber"] != sbom(built)["serialNumber"]


def test_the_sbom_says_when_the_base_could_not_be_asked(built: Built) -> None:
    unknown = sbom(Built(**{**vars(built), "debian": ()}))
    assert unknown["properties"] == [{"name": "sentiment:debian-packages", "value": "the builder could not be asked"}]
    assert "properties" not in sbom(built)


def test_the_provenance_is_a_statement_as_in_toto_and_slsa_define_it(built: Built) -> None:
    jsonschema.validate(provenance(built), STATEMENT)


def test_the_provenance_names_bento_model_run_snapshot_code_base_and_builder(built: Built) -> None:
    found, manifest = provenance(built), built.manifest
    assert found["subject"] == [{"name": built.repository, "digest": {"sha256": "5" * 64}}]
    parts = {part["name"]: part for part in found["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert parts["bento"]["digest"] == {"sha256": manifest.bento_digest}
    assert parts["model"]["uri"] == "models:/sentiment/1"
    assert parts["model"]["digest"] == {"sha256": manifest.scorer_digest}
    assert parts["model"]["annotations"] == {"run_id": "run-1", "snapshot": "reviews@v1"}
    assert parts["code"]["digest"] == {"sha256": manifest.code_digest}
    requirements = (built.folder / "src/images/serving/requirements.txt").read_bytes()
    assert parts["requirements"]["digest"] == {"sha256": hashlib.sha256(requirements).hexdigest()}
    assert parts["base"]["uri"] == "docker:python:3.11-slim-bookworm"
    assert parts["base"]["digest"]["sha256"] == built.base.rpartition(":")[2]
    assert found["predicate"]["runDetails"]["builder"]["id"].endswith(":docker")
