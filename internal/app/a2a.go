package app

import (
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/a2a"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/egress"
	"github.com/sutazai/sutazai/services/database"
)

// maxPushAnswer bounds what the address of a push notification may answer, in bytes.
const maxPushAnswer = 1 << 20

// newA2A makes the side of the Agent2Agent protocol that answers other programs.
func (a *App) newA2A(cfg *config.Config, auditLog *audit.Log) (*a2a.Server, error) {
	push := cfg.A2A.Push
	// Clients name these addresses: what they may reach is not what agents may reach.
	sender, err := egress.New(egress.Config{AllowPrivate: push.AllowPrivate, OnlyHosts: push.AllowHosts, MaxBytes: maxPushAnswer, MaxRedirects: -1})
	if err != nil {
		return nil, err
	}
	a.onClose(func() error { sender.Close(); return nil })
	return a2a.New(a2a.Deps{
		Runs: a.runs, Agents: a.agents, Store: database.NewTasks(a.db), Files: a.tools, Vault: a.vault, Sender: sender,
		Auth: a.auth, Audit: auditLog, PublicURL: a.publicURL, Version: a.opts.Version, Logger: a.opts.Logger, Now: time.Now,
		Settings: a2a.Settings{DefaultAgent: cfg.A2A.DefaultAgent, Open: cfg.Server.Auth == "none", Issuer: cfg.Server.OAuth.Issuer, Push: push.Enabled, GiveUpAfter: push.GiveUpAfter},
	}), nil
}

// withCards adds who may read the agents' cards.
func withCards(c backend.Config, s config.A2A) backend.Config {
	c.OpenCards = s.PublicCards
	return c
}
