"""Holds JSON against the project's schemas, docs/schema."""
import functools
import json
import os

import jsonschema  # Debian: python3-jsonschema


@functools.lru_cache(maxsize=None)
def validators(folder):
    """Of every schema in `folder`, by its name without the ending."""
    schemas = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            schemas[os.path.splitext(name)[0]] = json.load(file)
    store = {schema["$id"]: schema for schema in schemas.values()}
    made = {}
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        resolver = jsonschema.RefResolver(schema["$id"], schema, store=store)
        made[name] = jsonschema.Draft202012Validator(schema, resolver=resolver)
    return made


def problems(folder, name, instance):
    """What in `instance` is against the schema `name`: "PLACE: WHAT", with what is wrong inside of alternatives."""
    found = []
    for error in validators(folder)[name].iter_errors(instance):
        inner = jsonschema.exceptions.best_match([error])
        place = "/".join(map(str, inner.absolute_path)) or "."
        found.append(f"{place}: {inner.message[:300]}")
    return found


def problems_of_journal(folder, text):
    """Of every line but a last one that was cut. The first begins it, and an end has nothing behind it."""
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    found = [f"line {i + 1}: {problem}" for i, line in enumerate(lines) for problem in problems(folder, "journal", line)]
    events = [line["event"] for line in lines]
    if events[:1] != ["begin"] or "begin" in events[1:] or "end" in events[:-1]:
        found.append(f"expected begin first and alone, and nothing behind end, got {events}")
    return found
