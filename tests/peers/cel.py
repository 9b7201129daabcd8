"""Evaluates CEL expressions with an independent implementation: JSON in, a verdict a line out."""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import celpy  # noqa: E402
from celpy import celtypes  # noqa: E402

# cel-python 0.5 forgets that two texts joined are a text of CEL, which has functions.
celtypes.StringType.__add__ = lambda self, other: (
    celtypes.StringType(str(self) + str(other)) if isinstance(other, str) else NotImplemented
)

asked = json.load(sys.stdin)
environment = celpy.Environment()


def value(told):
    if isinstance(told, dict) and set(told) == {"seconds"}:
        return celtypes.DurationType(seconds=told["seconds"])
    if isinstance(told, dict):
        return celtypes.MapType({celtypes.StringType(key): value(inner) for key, inner in told.items()})
    if isinstance(told, list):
        return celtypes.ListType([value(inner) for inner in told])
    if isinstance(told, bool):
        return celtypes.BoolType(told)
    if isinstance(told, (int, float)):
        return celtypes.DoubleType(told)
    return celtypes.StringType(told)


fields = {name: value(told) for name, told in asked["fields"].items()}
for text in asked["expressions"]:
    try:
        program = environment.program(environment.compile(text))
    except Exception as error:
        print("refused", str(error).splitlines()[0] if str(error) else type(error).__name__)
        continue
    try:
        found = program.evaluate(fields)
    except Exception as error:
        print("failure", str(error).splitlines()[0] if str(error) else type(error).__name__)
        continue
    if isinstance(found, celtypes.BoolType):
        print("true" if found else "false")
    elif isinstance(found, Exception):
        print("failure", str(found).splitlines()[0] if str(found) else type(found).__name__)
    else:
        print("other", type(found).__name__)
