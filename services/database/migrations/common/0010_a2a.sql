-- What clients of the Agent2Agent protocol need beside the runs, which are their tasks.

-- Tasks of one owner, the latest change of state first.
CREATE INDEX runs_owner ON runs (created_by, (COALESCE(finished_at, started_at, created_at)), id) WHERE parent = '';

-- Messages that answered a question or an approval: a repeated one answers nothing else.
CREATE TABLE a2a_answers (
    owner    TEXT NOT NULL,   -- the actor
    message  TEXT NOT NULL,   -- the client's id of it
    run      TEXT NOT NULL,
    approval TEXT NOT NULL,
    hash     TEXT NOT NULL,   -- of what it says
    at       BIGINT NOT NULL,
    PRIMARY KEY (owner, message)
);

-- Where clients want to be told of a task.
CREATE TABLE a2a_pushes (
    run        TEXT NOT NULL,
    id         TEXT NOT NULL,
    owner      TEXT NOT NULL,
    url        TEXT NOT NULL,
    sealed     TEXT NOT NULL,   -- token and credentials of the client's, encrypted; '' = none
    created_at BIGINT NOT NULL,
    state      TEXT NOT NULL,   -- that was told last
    attempts   BIGINT NOT NULL, -- that failed in a row
    next_at    BIGINT NOT NULL, -- not before
    failing    BIGINT,          -- since when
    error      TEXT NOT NULL,
    done       BIGINT NOT NULL, -- 1 = nothing more is told
    PRIMARY KEY (run, id)
);
CREATE INDEX a2a_pushes_open ON a2a_pushes (next_at) WHERE done = 0;

-- Keys by which messages to the outside are signed, encrypted.
CREATE TABLE signing_keys (
    id         TEXT PRIMARY KEY,
    sealed     TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
