package ollama

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Pull has the server fetch a model. progress, where it is not nil, gets the server's status and, while a file comes,
// how many of its bytes are there. The server resumes an interrupted pull by itself when it is asked again.
func (p *Provider) Pull(ctx context.Context, model string, progress func(status string, done, total int64)) error {
	body, err := p.slow.Post(ctx, "/api/pull", map[string]any{"model": model, "stream": true})
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var c struct {
			Status    string          `json:"status"`
			Completed int64           `json:"completed"`
			Total     int64           `json:"total"`
			Error     json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return p.slow.Malformed(err)
		}
		if len(c.Error) > 0 {
			return &aimodels.CallError{Err: core.Errorf(core.CodeUnavailable, "ollama cannot pull %q: %s", model, string(c.Error))}
		}
		if progress != nil {
			progress(c.Status, c.Completed, c.Total)
		}
		if c.Status == "success" {
			return nil
		}
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, bufio.ErrTooLong) {
		return p.slow.Malformed(err)
	}
	return body.Explain(err)
}
