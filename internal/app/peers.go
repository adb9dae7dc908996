package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/tools"
	"github.com/sutazai/sutazai/services/peers"
	"github.com/sutazai/sutazai/services/peers/a2a"
	"github.com/sutazai/sutazai/services/peers/acp"
	"github.com/sutazai/sutazai/services/peers/jsonl"
)

// maxPeerFile bounds a file that goes to a peer with its task, in bytes.
const maxPeerFile = 16 << 20

// newPeers makes the agents that run elsewhere. Nothing is reached or started before its first turn.
func newPeers(cfg *config.Config, files *tools.Registry, version string, log *slog.Logger) (*peers.Peers, error) {
	all := map[string]peers.Peer{}
	for name, p := range cfg.Peers {
		peer, err := newPeer(cfg, name, p, files, version, log)
		if err != nil {
			return nil, err
		}
		all[name] = peer
	}
	return peers.New(all), nil
}

func newPeer(cfg *config.Config, name string, p config.Peer, files *tools.Registry, version string, log *slog.Logger) (peers.Peer, error) {
	switch p.Protocol {
	case "a2a":
		return newA2APeer(name, p, files, log)
	case "acp":
		program, err := newProgram(cfg, name, p)
		if err != nil {
			return nil, err
		}
		return acp.New(acp.Options{Program: program, Workspace: files.Folder, Login: p.Login, Version: version})
	case "jsonl":
		program, err := newProgram(cfg, name, p)
		if err != nil {
			return nil, err
		}
		return jsonl.New(jsonl.Options{Program: program, Workspace: files.Folder})
	default:
		return nil, core.Errorf(core.CodeInvalid, "peers.%s.protocol: %q is not known", name, p.Protocol)
	}
}

// newProgram says how a peer's program is run.
func newProgram(cfg *config.Config, name string, p config.Peer) (peers.ProgramSpec, error) {
	env := make(map[string]string, len(p.Env))
	for key, reference := range p.Env {
		value, err := reference.Resolve()
		if err != nil {
			return peers.ProgramSpec{}, err
		}
		env[key] = value
	}
	dir := p.Cwd
	if dir == "" && p.Per == "peer" { // it works for many workspaces
		dir = filepath.Join(cfg.Server.DataDir, "peers", name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return peers.ProgramSpec{}, core.Wrap(core.CodeInvalid, err, "cannot make the folder %s of peer %s; check the permissions of the data folder", dir, name)
		}
	}
	return peers.ProgramSpec{
		Name: name, Command: p.Command, Env: env, Dir: dir, Shared: p.Per == "peer", Timeout: p.Timeout, LogDir: filepath.Join(cfg.Server.DataDir, "logs"),
	}, nil
}

func newA2APeer(name string, p config.Peer, files *tools.Registry, log *slog.Logger) (peers.Peer, error) {
	headers, err := resolveAll(p.Headers)
	if err != nil {
		return nil, err
	}
	token, err := p.Auth.Token.Resolve()
	if err != nil {
		return nil, err
	}
	secret, err := p.Auth.ClientSecret.Resolve()
	if err != nil {
		return nil, err
	}
	return a2a.New(a2a.Options{
		Name: name, URL: p.URL, Transport: p.Transport, Hosts: p.Hosts, CardKeys: p.CardKeys, Headers: headers, Timeout: p.Timeout,
		Auth: a2a.Auth{
			Kind: p.Auth.Kind, Token: core.NewSecret(token), Header: p.Auth.Header, User: p.Auth.User,
			TokenURL: p.Auth.TokenURL, ClientID: p.Auth.ClientID, ClientSecret: core.NewSecret(secret), Scopes: p.Auth.Scopes,
		},
		File: func(ctx context.Context, workspace, file string) (core.File, error) {
			return files.Read(ctx, workspace, file, maxPeerFile)
		},
		Logger: log, Now: time.Now,
	})
}

func resolveAll(references map[string]config.Secret) (map[string]core.Secret, error) {
	out := make(map[string]core.Secret, len(references))
	for key, reference := range references {
		text, err := reference.Resolve()
		if err != nil {
			return nil, err
		}
		out[key] = core.NewSecret(text)
	}
	return out, nil
}
