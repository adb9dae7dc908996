-- What replicas share of their caches. Nothing here is ever missed: any row may go at any time.
CREATE TABLE cache_entries (
    id         BYTEA PRIMARY KEY,    -- SHA-256 of the space and the key
    kind       TEXT NOT NULL,
    project    TEXT NOT NULL,
    route      TEXT NOT NULL,
    grp        TEXT NOT NULL,
    value      BYTEA NOT NULL,       -- packed, with a checksum
    size       BIGINT NOT NULL,      -- bytes of value
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
-- The sum of all sizes is read from this index alone.
CREATE INDEX cache_entries_expires ON cache_entries (expires_at, size);
CREATE INDEX cache_entries_space ON cache_entries (kind, project, route, grp, created_at);
