-- Whose budgets and usage the calls of a key count for.
ALTER TABLE api_keys ADD COLUMN project TEXT NOT NULL DEFAULT 'default';

-- What model calls have consumed, by hours since 1970 (UTC).
CREATE TABLE model_usage (
    hour           BIGINT NOT NULL,
    project        TEXT NOT NULL,
    key_id         TEXT NOT NULL,   -- '' = none
    agent          TEXT NOT NULL,   -- '' = none
    model          TEXT NOT NULL,   -- "provider/model"
    kind           TEXT NOT NULL,   -- chat | embed
    requests       BIGINT NOT NULL,
    errors         BIGINT NOT NULL,
    cache_hits     BIGINT NOT NULL,
    input_tokens   BIGINT NOT NULL,
    output_tokens  BIGINT NOT NULL,
    cached_tokens  BIGINT NOT NULL,
    cost_micro_usd BIGINT NOT NULL,
    saved_micro_usd BIGINT NOT NULL,
    took_ms        BIGINT NOT NULL, -- of all requests together
    PRIMARY KEY (hour, project, key_id, agent, model, kind)
);

-- What is known of calls that were made before: the model steps of runs.
INSERT INTO model_usage (hour, project, key_id, agent, model, kind, requests, errors, cache_hits, input_tokens, output_tokens,
    cached_tokens, cost_micro_usd, saved_micro_usd, took_ms)
SELECT s.started_at / 3600000, 'default', CASE WHEN r.created_by LIKE 'key:%' THEN SUBSTR(r.created_by, 5) ELSE '' END, r.agent, s.name,
    'chat', COUNT(*), SUM(CASE WHEN s.status = 'failed' THEN 1 ELSE 0 END), 0, SUM(s.input_tokens), SUM(s.output_tokens), 0,
    SUM(s.cost_micro_usd), 0, SUM(CASE WHEN s.finished_at > s.started_at THEN s.finished_at - s.started_at ELSE 0 END)
FROM steps s JOIN runs r ON r.id = s.run
WHERE s.kind = 'model' AND s.started_at IS NOT NULL
GROUP BY 1, 3, r.agent, s.name;

-- How far each server's journal of calls has been counted in model_usage and budget_windows.
CREATE TABLE usage_journals (
    replica TEXT PRIMARY KEY,
    seq     BIGINT NOT NULL
);

CREATE TABLE budgets (
    id              TEXT PRIMARY KEY,
    scope           TEXT NOT NULL,   -- project | key | agent | all
    scope_id        TEXT NOT NULL,
    period          TEXT NOT NULL,   -- day | week | month | total
    limit_micro_usd BIGINT NOT NULL, -- 0 = none
    limit_tokens    BIGINT NOT NULL, -- 0 = none
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

-- The counters of each window of a budget. Whoever changes a lease changes its window's row first, and so waits its turn.
CREATE TABLE budget_windows (
    budget              TEXT NOT NULL REFERENCES budgets (id) ON DELETE CASCADE,
    started_at          BIGINT NOT NULL, -- 0 for the window "total"
    spent_micro_usd     BIGINT NOT NULL,
    spent_tokens        BIGINT NOT NULL,
    overspent_micro_usd BIGINT NOT NULL,
    overspent_tokens    BIGINT NOT NULL,
    wanted_at           BIGINT NOT NULL, -- when a server last found too little because of others' leases
    PRIMARY KEY (budget, started_at)
);

-- What each server may still spend of a window. spent + all leases never exceed the limit.
CREATE TABLE budget_leases (
    budget         TEXT NOT NULL,
    started_at     BIGINT NOT NULL,
    replica        TEXT NOT NULL,
    left_micro_usd BIGINT NOT NULL,
    left_tokens    BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    PRIMARY KEY (budget, started_at, replica),
    FOREIGN KEY (budget, started_at) REFERENCES budget_windows (budget, started_at) ON DELETE CASCADE
);
CREATE INDEX budget_leases_replica ON budget_leases (replica);
