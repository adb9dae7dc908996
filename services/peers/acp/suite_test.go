package acp

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/coder/acp-go-sdk"

	"github.com/sutazai/sutazai/services/peers"
	"github.com/sutazai/sutazai/services/peers/peerstest"
)

// suite plays the scenarios of peerstest.
func (a *scripted) suite(ctx context.Context, id sdk.SessionId, _, text string) (string, sdk.StopReason, error) {
	if text != goOn {
		f, err := os.OpenFile(filepath.Join(a.state, "begun"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return "", "", err
		}
		_, _ = f.WriteString("x")
		f.Close()
	}
	done := sdk.StopReasonEndTurn
	switch peerstest.Scenario(strings.TrimPrefix(a.mode, "suite ")) {
	case peerstest.Answers:
		a.say(ctx, id, sdk.UpdateAgentMessageText("Hello, "))
		return "world.", done, nil
	case peerstest.Permits:
		r, err := a.conn.RequestPermission(ctx, sdk.RequestPermissionRequest{
			SessionId: id, ToolCall: sdk.ToolCallUpdate{ToolCallId: "t1", Title: sdk.Ptr("pay"), RawInput: map[string]any{"amount": 5}},
			Options: []sdk.PermissionOption{{OptionId: "yes", Kind: sdk.PermissionOptionKindAllowOnce, Name: "Yes"}, {OptionId: "no", Kind: sdk.PermissionOptionKindRejectOnce, Name: "No"}},
		})
		if err != nil {
			return "", "", err
		}
		if r.Outcome.Selected != nil && r.Outcome.Selected.OptionId == "yes" {
			return "paid", done, nil
		}
		return "not paid", done, nil
	case peerstest.Fails:
		return "There is no ink.", sdk.StopReasonRefusal, nil
	case peerstest.Outlives:
		for { // until it is released
			if _, err := os.Stat(filepath.Join(a.state, "released")); err == nil {
				return "Done.", done, nil
			}
			select {
			case <-ctx.Done():
				return "", sdk.StopReasonCancelled, nil
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	<-ctx.Done()
	return "", sdk.StopReasonCancelled, nil
}

func TestTheSuiteOfPeers(t *testing.T) {
	t.Parallel()
	const (
		hello   = `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}`
		session = `{"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}}`
	)
	malformed := func(field string, say ...string) peerstest.Malformed {
		return peerstest.Malformed{Field: field, Play: func(t *testing.T) peers.Peer {
			return setup(t, "", func(o *Options) { says(o, say...) })
		}}
	}
	peerstest.Run(t, peerstest.World{
		Scenarios: []peerstest.Scenario{
			peerstest.Answers, peerstest.Permits, peerstest.Works, peerstest.Outlives, peerstest.Forgets, peerstest.Absent, peerstest.Fails,
		},
		Play: func(t *testing.T, s peerstest.Scenario) peerstest.Playing {
			mode := "suite " + string(s)
			b := setup(t, mode, func(o *Options) {
				if s == peerstest.Absent {
					o.Program.Command = []string{"no-such-agent"}
				}
			})
			is := func(name string) bool {
				_, err := os.Stat(filepath.Join(b.state, name))
				return err == nil
			}
			return peerstest.Playing{
				Peer: b.Peer,
				Again: func() peers.Peer {
					return setup(t, mode, func(o *Options) { o.Workspace, o.Program.Env["ACP_TEST_STATE"] = b.opts.Workspace, b.state }).Peer
				},
				Begun: func() int {
					text, _ := os.ReadFile(filepath.Join(b.state, "begun"))
					return len(text)
				},
				Stopped: func() bool { return is("stopped") },
				Release: func() { _ = os.WriteFile(filepath.Join(b.state, "released"), nil, 0o600) },
			}
		},
		Malformed: map[string]peerstest.Malformed{
			"not JSON":      malformed("not JSON", "hello"),
			"no version":    malformed("protocolVersion", `{"jsonrpc":"2.0","id":1,"result":{}}`),
			"no session id": malformed("sessionId", hello, `{"jsonrpc":"2.0","id":2,"result":{}}`),
			"stop reason":   malformed("stopReason", hello, session, `{"jsonrpc":"2.0","id":3,"result":{"stopReason":7}}`),
		},
	})
}
