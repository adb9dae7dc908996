-- Answers of the Responses API, kept so that previous_response_id works with any model. An id that a provider made may
-- come to several owners (a cached answer): each has a row.
CREATE TABLE responses (
    owner      TEXT NOT NULL,   -- the actor who may see it
    id         TEXT NOT NULL,
    state      TEXT NOT NULL,   -- whole, partial or deleted
    model      TEXT NOT NULL,
    previous   TEXT NOT NULL,   -- id of the response that it goes on from, or ''
    input      TEXT NOT NULL,   -- JSON list of items, or '' where they are not kept
    response   TEXT NOT NULL,   -- JSON, or ''
    size       BIGINT NOT NULL, -- bytes of both
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX responses_id ON responses (id);
CREATE INDEX responses_expires ON responses (expires_at);
