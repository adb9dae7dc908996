"""Serves one GGUF model over llama.cpp's HTTP interface on loopback, and ends with its parent.

Started by SutazAI with one JSON object as its only argument (no secret in it: arguments are visible to other users):
    model: path of the GGUF file          alias: name of the model in answers
    port: TCP port on 127.0.0.1           context: tokens of context of each slot
    parallel: requests served at once     threads: threads for generation and for prompts
    embedding: {on, pooling, batch}: whether vectors are made, how those of a text's tokens become one ("mean", or "" for
        the model's own way), and how many tokens are read at once (0 = the default)
The key that clients must send comes in the environment variable SUTAZAI_MODEL_KEY.
Standard input is a pipe that the parent holds open: its end means that the parent is gone, however it died.
"""

import json
import os
import sys
import threading


def end_with_parent():
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    # Not sys.exit: the server's own threads would be waited for, and nobody is left who needs them.
    os._exit(0)


def main():
    threading.Thread(target=end_with_parent, daemon=True).start()
    options = json.loads(sys.argv[1])

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.model_alias = {options["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = options["port"]
    params.api_keys = [os.environ["SUTAZAI_MODEL_KEY"]]
    params.n_parallel = options["parallel"]
    params.n_ctx = options["context"] * options["parallel"]
    params.cpuparams.n_threads = options["threads"]
    params.cpuparams_batch.n_threads = options["threads"]
    params.use_jinja = True
    params.ui = False
    embedding = options["embedding"]
    if embedding["on"]:
        params.embedding = True
        if embedding["pooling"] == "mean":
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        if embedding["batch"]:
            params.n_batch = params.n_ubatch = embedding["batch"]

    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, flush=True)
    threading.Event().wait()


main()
