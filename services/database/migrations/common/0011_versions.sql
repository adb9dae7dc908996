-- Published versions of agents, and what their evaluations gave. Definitions are in agent_versions.

CREATE TABLE agent_publications (
    agent        TEXT NOT NULL,
    number       BIGINT NOT NULL, -- from 1
    version      TEXT NOT NULL,
    note         TEXT NOT NULL,
    current      BIGINT NOT NULL, -- 1 = new runs use it; one of an agent at most
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL,
    PRIMARY KEY (agent, number)
);

CREATE TABLE evaluations (
    id          TEXT PRIMARY KEY,
    agent       TEXT NOT NULL,
    version     TEXT NOT NULL, -- of the agent
    set_version TEXT NOT NULL, -- first 12 hex digits of the SHA-256 of the evaluation set's file
    status      TEXT NOT NULL, -- running, passed, failed, cancelled
    result      TEXT NOT NULL, -- JSON: core.Evaluation
    cases       TEXT NOT NULL, -- JSON: core.EvaluationSet, as it was at the beginning
    holder      TEXT NOT NULL, -- the process that executes it
    held_until  BIGINT NOT NULL, -- when another one may take it over
    created_at  BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX evaluations_agent ON evaluations (agent, id);
CREATE INDEX evaluations_running ON evaluations (id) WHERE status = 'running';
