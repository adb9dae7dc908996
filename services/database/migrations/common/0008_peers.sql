-- What runs of agents other than language models need, and what a run has seen.

ALTER TABLE runs ADD COLUMN peer_session TEXT NOT NULL DEFAULT ''; -- what the run's peer needs to go on with the conversation
ALTER TABLE runs ADD COLUMN flow BIGINT NOT NULL DEFAULT 0;        -- core.Flow: bits of what its tools have let in
ALTER TABLE messages ADD COLUMN summary_to BIGINT NOT NULL DEFAULT 0; -- index of the last message that this one sums up; 0 = none
ALTER TABLE approvals ADD COLUMN queue TEXT NOT NULL DEFAULT '';   -- who is asked; '' = whoever may decide

CREATE INDEX runs_root_work ON runs (root, agent, request_hash) WHERE parent <> '';
