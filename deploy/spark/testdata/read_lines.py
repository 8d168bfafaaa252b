"""Prints what events.py reads of each record that comes in as a line of JSON, for the tests that compare all readers."""

import base64
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import events

for line in sys.stdin:
    record = json.loads(line)
    headers = [{"key": key, "value": base64.b64decode(value)} for key, value in record["headers"] or ()]
    value = None if record["value"] is None else base64.b64decode(record["value"])
    print(json.dumps(events.read_event(record["topic"], record["ms"], value, headers)))
