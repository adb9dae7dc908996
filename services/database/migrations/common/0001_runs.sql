-- Times are milliseconds since 1970 in UTC, booleans 0 or 1, JSON is text, ids are UUIDv7 unless said otherwise.

CREATE TABLE agent_versions (
    agent      TEXT NOT NULL,
    version    TEXT NOT NULL, -- first 12 hex digits of the agent file's SHA-256
    definition TEXT NOT NULL, -- core.Agent
    created_at BIGINT NOT NULL,
    PRIMARY KEY (agent, version)
);

CREATE TABLE runs (
    id               TEXT PRIMARY KEY,
    agent            TEXT NOT NULL,
    agent_version    TEXT NOT NULL,
    status           TEXT NOT NULL,
    wait_reason      TEXT NOT NULL,
    wait_detail      TEXT NOT NULL,
    wake_at          BIGINT,          -- when a waiting run is looked at again by itself
    output_message   BIGINT,          -- index of the message that is the answer
    error_code       TEXT NOT NULL,
    error_message    TEXT NOT NULL,
    input_tokens     BIGINT NOT NULL,
    output_tokens    BIGINT NOT NULL,
    cost_micro_usd   BIGINT NOT NULL,
    steps            BIGINT NOT NULL,
    messages         BIGINT NOT NULL, -- how many there are
    input_message    BIGINT NOT NULL, -- index of the message that is the task
    files            TEXT NOT NULL,   -- JSON list of the names of attached files
    created_at       BIGINT NOT NULL,
    started_at       BIGINT,
    finished_at      BIGINT,
    parent           TEXT NOT NULL,   -- run that delegated this one, or ''
    parent_step      BIGINT NOT NULL,
    root             TEXT NOT NULL,   -- first of the line of parents; names the workspace
    depth            BIGINT NOT NULL,
    forked_from      TEXT NOT NULL,
    metadata         TEXT NOT NULL,
    limits           TEXT NOT NULL,
    created_by       TEXT NOT NULL,
    idempotency_key  TEXT,
    request_hash     TEXT NOT NULL,   -- of the request, to tell a retry from another request under the same key
    segment          BIGINT NOT NULL, -- number of the engine workflow that executes it: 1, 2 after the first wait, …
    event_seq        BIGINT NOT NULL, -- number of the latest event
    recoveries       BIGINT NOT NULL,
    active_ms        BIGINT NOT NULL, -- time spent running, without waits
    turn_message     BIGINT NOT NULL, -- index of the user's latest message
    turn_steps       BIGINT NOT NULL, -- steps, tokens, cost and active time before the user's latest message:
    turn_tokens      BIGINT NOT NULL, -- limits count from there
    turn_cost        BIGINT NOT NULL,
    turn_active_ms   BIGINT NOT NULL,
    outage_since     BIGINT,          -- when the model became unreachable for this run
    cancel_requested TEXT NOT NULL    -- actor who wants it stopped, or ''
);
CREATE INDEX runs_agent ON runs (agent, id);
CREATE INDEX runs_status ON runs (status, id);
CREATE INDEX runs_parent ON runs (parent, id) WHERE parent <> '';
CREATE INDEX runs_wake ON runs (status, wake_at) WHERE wake_at IS NOT NULL;
CREATE UNIQUE INDEX runs_idempotency ON runs (created_by, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE messages (
    run          TEXT NOT NULL,
    idx          BIGINT NOT NULL,
    role         TEXT NOT NULL,
    body         TEXT NOT NULL,
    tool_calls   TEXT,            -- JSON list of core.ToolCall
    tool_call_id TEXT,
    is_error     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (run, idx)
);

CREATE TABLE steps (
    run            TEXT NOT NULL,
    idx            BIGINT NOT NULL,
    segment        BIGINT NOT NULL, -- engine workflow that worked on it last
    kind           TEXT NOT NULL,
    name           TEXT NOT NULL,
    effect         TEXT NOT NULL,
    status         TEXT NOT NULL,
    attempts       TEXT NOT NULL,   -- JSON list of core.Attempt
    input_ref      TEXT NOT NULL,
    output_ref     TEXT NOT NULL,
    arguments      TEXT,            -- as edited by a person; the model's own are in the message
    call_id        TEXT NOT NULL,
    child_run      TEXT NOT NULL,
    input_tokens   BIGINT NOT NULL,
    output_tokens  BIGINT NOT NULL,
    cost_micro_usd BIGINT NOT NULL,
    error          TEXT NOT NULL,
    started_at     BIGINT,
    finished_at    BIGINT,
    PRIMARY KEY (run, idx)
);

CREATE TABLE approvals (
    id         TEXT PRIMARY KEY,
    run        TEXT NOT NULL,
    step       BIGINT NOT NULL,
    agent      TEXT NOT NULL,
    tool       TEXT NOT NULL,
    effect     TEXT NOT NULL,
    arguments  TEXT NOT NULL,
    reason     TEXT NOT NULL,
    status     TEXT NOT NULL,
    result     TEXT NOT NULL,
    comment    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at BIGINT
);
CREATE INDEX approvals_run ON approvals (run, id);
CREATE INDEX approvals_status ON approvals (status, expires_at);
