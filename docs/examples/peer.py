#!/usr/bin/env python3
"""An agent as a program: it reads lines of JSON, and writes lines of JSON. docs/peers.md describes them."""
import json
import sys


def answer(request_id, **fields):
    print(json.dumps({"jsonrpc": "2.0", "id": request_id, **fields}), flush=True)


for line in sys.stdin:
    request = json.loads(line)
    if request.get("method") != "SendStreamingMessage":
        answer(request.get("id"), error={"code": -32601, "message": "unknown method"})
        continue
    message = request["params"]["message"]
    task = {"taskId": message["messageId"], "contextId": "chat"}
    text = " ".join(part["text"] for part in message["parts"] if "text" in part)
    for word in text.split():  # the answer may come in pieces
        piece = {"artifactId": "answer", "parts": [{"text": word.upper() + " "}]}
        answer(request["id"], result={"artifactUpdate": {**task, "artifact": piece, "append": True}})
    answer(request["id"], result={"statusUpdate": {**task, "status": {"state": "TASK_STATE_COMPLETED"}}})
