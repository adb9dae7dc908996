-- What MCP servers say of their tools, and what an administrator has approved of it. Definitions are canonical JSON.
CREATE TABLE mcp_tools (
    server        TEXT NOT NULL,
    tool          TEXT NOT NULL,
    seen          TEXT NOT NULL,
    seen_hash     TEXT NOT NULL,
    seen_at       BIGINT NOT NULL,
    offered       BIGINT NOT NULL, -- 1 = it was in the server's latest list
    approved      TEXT NOT NULL,   -- '' = never
    approved_hash TEXT NOT NULL,
    approved_at   BIGINT,
    approved_by   TEXT NOT NULL,
    PRIMARY KEY (server, tool)
);

-- Logins at MCP servers, encrypted: the master key is not in the database.
CREATE TABLE mcp_tokens (
    server     TEXT NOT NULL,
    owner      TEXT NOT NULL, -- '' = everybody; project:<name>; an actor such as user:<name>
    url        TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (server, owner)
);
