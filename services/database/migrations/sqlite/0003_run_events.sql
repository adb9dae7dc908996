-- What happened to a run, as references to messages, steps and approvals: contents are stored once, there.
CREATE TABLE run_events (
    run  TEXT NOT NULL,
    n    BIGINT NOT NULL,
    type TEXT NOT NULL,
    ref  TEXT NOT NULL, -- index of the message or step, id of the approval, or ''
    at   BIGINT NOT NULL,
    PRIMARY KEY (run, n)
) WITHOUT ROWID;
