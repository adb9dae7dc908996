package database

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Versions stores the published versions of agents.
type Versions struct{ db *DB }

// NewVersions returns the store of published versions.
func NewVersions(db *DB) Versions { return Versions{db} }

const publicationColumns = `p.agent, p.number, p.version, p.note, p.current, p.published_at, p.published_by, v.definition`

const publicationFrom = ` FROM agent_publications p JOIN agent_versions v ON v.agent = p.agent AND v.version = p.version`

func scanPublication(row dbtx.Row) (core.AgentVersion, error) {
	var (
		v           core.AgentVersion
		current, at int64
		definition  string
	)
	if err := row.Scan(&v.Agent, &v.Number, &v.Version, &v.Note, &current, &at, &v.PublishedBy, &definition); err != nil {
		return v, err
	}
	v.Current, v.PublishedAt = current != 0, fromMS(at)
	if err := json.Unmarshal([]byte(definition), &v.Definition); err != nil {
		return v, fmt.Errorf("version %d of agent %s: %w", v.Number, v.Agent, err)
	}
	return v, nil
}

// Publish keeps the definition under the next number and makes it the one in use.
func (s Versions) Publish(ctx context.Context, a core.Agent, note, actor string, now time.Time) (out core.AgentVersion, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		if err := s.db.Runs().PutAgentVersion(ctx, q, a, now); err != nil {
			return err
		}
		number := 0
		// Two at once get the same number, and the primary key lets one of them in.
		if err := q.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) + 1 FROM agent_publications WHERE agent=$1`, a.Name).Scan(&number); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, `UPDATE agent_publications SET current=0 WHERE agent=$1 AND current=1`, a.Name); err != nil {
			return err
		}
		_, err := q.Exec(ctx, `INSERT INTO agent_publications (agent, number, version, note, current, published_at, published_by) VALUES ($1,$2,$3,$4,1,$5,$6)`,
			a.Name, number, a.Version, note, ms(now), actor)
		out = core.AgentVersion{Agent: a.Name, Number: number, Version: a.Version, Note: note, Current: true, PublishedAt: now.UTC().Truncate(time.Millisecond), PublishedBy: actor, Definition: a}
		return err
	})
	return out, err
}

// Use makes a published version the one that new runs use; CodeNotFound when there is none. Number 0 means none: new runs
// use the agent's file again.
func (s Versions) Use(ctx context.Context, agent string, number int) error {
	return s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		if _, err := q.Exec(ctx, `UPDATE agent_publications SET current=0 WHERE agent=$1 AND current=1`, agent); err != nil || number == 0 {
			return err
		}
		n, err := q.Exec(ctx, `UPDATE agent_publications SET current=1 WHERE agent=$1 AND number=$2`, agent, number)
		if err == nil && n == 0 {
			err = core.Errorf(core.CodeNotFound, "agent %q has no published version %d", agent, number)
		}
		return err
	})
}

// List returns the published versions of an agent, newest first.
func (s Versions) List(ctx context.Context, agent string) ([]core.AgentVersion, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT `+publicationColumns+publicationFrom+` WHERE p.agent=$1 ORDER BY p.number DESC`, agent)
	return dbtx.Collect(rows, err, scanPublication)
}

// Current returns the versions in use, one of an agent at most.
func (s Versions) Current(ctx context.Context) ([]core.AgentVersion, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT `+publicationColumns+publicationFrom+` WHERE p.current=1 ORDER BY p.agent`)
	return dbtx.Collect(rows, err, scanPublication)
}

// Definition returns a definition that a run or a publication has kept, by its hash; CodeNotFound when there is none.
func (s Versions) Definition(ctx context.Context, agent, version string) (core.Agent, error) {
	return s.db.Runs().AgentVersion(ctx, s.db.Querier(), agent, version)
}
