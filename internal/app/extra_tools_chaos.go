//go:build chaos

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/tools"
)

// ledgerURL names the variable with the address of the ledger that counts effects while the server is being killed.
const ledgerURL = "SUTAZAI_TEST_LEDGER"

const ledgerTime = 30 * time.Second

// extraTools are tools whose only effect is an entry in an outside ledger, one of each kind, so that a test can count
// what was really done.
func extraTools() []tools.Tool {
	url := os.Getenv(ledgerURL)
	if url == "" {
		return nil
	}
	return []tools.Tool{
		ledger{url, "ledger_read", core.EffectReadOnly}, ledger{url, "ledger_put", core.EffectIdempotent}, ledger{url, "ledger_pay", core.EffectUnsafe},
	}
}

type ledger struct {
	url, name string
	effect    core.Effect
}

func (l ledger) Spec() core.ToolSpec {
	return core.ToolSpec{
		Name: l.name, Description: "Writes an entry into the test's ledger.", Effect: l.effect,
		Parameters: json.RawMessage(`{"type":"object","properties":{"entry":{"type":"string"}},"required":["entry"]}`),
	}
}

func (l ledger) Call(ctx context.Context, inv core.ToolInvocation) (string, error) {
	body, err := json.Marshal(map[string]any{"tool": l.name, "run": inv.Run, "key": inv.IdempotencyKey, "arguments": inv.Arguments})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: ledgerTime}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the ledger says %s", resp.Status)
	}
	return string(text), err
}
