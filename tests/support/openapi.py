# SPDX-License-Identifier: Apache-2.0
"""The daemon's OpenAPI document as a judge of its answers."""
import re

import jsonschema

METHODS = ("get", "put", "post", "delete")


class Document:
    def __init__(self, document):
        self.document = document

    def resolve(self, value):
        while "$ref" in value:
            place = self.document
            for key in value["$ref"][2:].split("/"):
                place = place[key]
            value = place
        return value

    def operations(self):
        """(method, path, operation) of all."""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method, path, item[method]

    def find(self, method, target):
        """The path of the document that a request's target means; the longest fixed part wins, as in the daemon's table."""
        place = target.split("?")[0]
        matching = [path for path, item in self.document["paths"].items() if method in item
                    and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", path), place)]
        return min(matching, key=lambda path: path.count("{"))

    def strictly(self, schema):
        """The schema, refusing members that it does not name: what the daemon says is documented."""
        schema = self.resolve(schema)
        strict = dict(schema)
        if "properties" in schema:
            strict["properties"] = {key: self.strictly(value) for key, value in schema["properties"].items()}
            strict.setdefault("additionalProperties", False)
        if isinstance(schema.get("additionalProperties"), dict):
            strict["additionalProperties"] = self.strictly(schema["additionalProperties"])
        if "items" in schema:
            strict["items"] = self.strictly(schema["items"])
        if "anyOf" in schema:
            strict["anyOf"] = [self.strictly(value) for value in schema["anyOf"]]
        return strict

    def check(self, method, target, reply):
        """The answer is one that the document has; returns it."""
        method = method.lower()
        path = self.find(method, target)
        responses = self.document["paths"][path][method]["responses"]
        assert str(reply.status) in responses, f"{method} {target}: {reply} is not documented"
        response = self.resolve(responses[str(reply.status)])
        for name in response.get("headers", {}):
            assert reply.header(name) is not None, f"{method} {target}: {reply} has no {name}"
        media = reply.header("content-type").split(";")[0]
        assert media in response["content"], f"{method} {target}: {reply} has a type that is not documented"
        if media == "application/json":
            value, schema = reply.json(), response["content"][media]["schema"]
            if path != "/v2/docs/openapi.json":
                schema = self.strictly(schema)
            judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
            errors = [f"{error.json_path}: {error.message}" for error in judge.iter_errors(value)]
            assert not errors, f"{method} {target}: {errors}"
        return reply
