-- Keys of model providers, encrypted: the master key is not in the database. A removed one has an empty sealed.
CREATE TABLE credentials (
    id           TEXT PRIMARY KEY,
    provider     TEXT NOT NULL,
    name         TEXT NOT NULL,
    sealed       TEXT NOT NULL,
    hint         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    disabled_at  BIGINT,
    last_used_at BIGINT,
    last_error   TEXT NOT NULL
);
