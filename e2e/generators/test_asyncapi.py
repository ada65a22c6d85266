"""`docs/asyncapi.json`, which is what `/schema/events` serves, is AsyncAPI as its specification has it."""

import json
import shutil

import jsonschema
from servers import ROOT
from test_generators import HERE, run

from conftest import give_up

FILE = ROOT / "docs" / "asyncapi.json"
SPECIFICATION = HERE / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"


def test_the_document_of_the_socket_is_asyncapi():
    if shutil.which("npx") is None or not SPECIFICATION.is_file():
        give_up("The generators are missing: run `npm ci` in the folder e2e/generators.")
    schema = jsonschema.Draft7Validator(json.loads(SPECIFICATION.read_text()))
    document = json.loads(FILE.read_text())
    assert list(schema.iter_errors(document)) == []
    assert not schema.is_valid({**document, "operations": {"tell": {"action": "shout"}}})
    run(["redocly", "lint", str(FILE)])  # what refers to what, no schema can say
