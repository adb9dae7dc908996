package a2a

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/go-jose/go-jose/v4"

	"github.com/sutazai/sutazai/core"
)

const (
	tellEvery    = time.Second      // how often it is looked for news
	tellAtOnce   = 8                // messages sent side by side
	tellTime     = 15 * time.Second // of one message
	tellClaim    = time.Minute      // for which others leave a message alone
	tellFirst    = 5 * time.Second  // wait after the first failure; it doubles
	tellLongest  = time.Hour
	tokenTime    = 5 * time.Minute // for which a signed token is good
	contentEvent = "application/a2a+json"
)

// Tell sends push notifications until ctx ends: the task, whenever its state has changed. What is not taken is sent again,
// with growing waits; the latest state counts, so that a client that was away learns how things are.
func (s *Server) Tell(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.kick:
		}
		now := s.d.Now()
		due, err := s.d.Store.ClaimPushes(ctx, now, now.Add(tellClaim), 4*tellAtOnce)
		if err != nil && ctx.Err() == nil {
			s.d.Logger.Warn("push notifications could not be looked for", "error", err)
		}
		var sending sync.WaitGroup
		slots := make(chan struct{}, tellAtOnce)
		for _, p := range due {
			slots <- struct{}{}
			sending.Go(func() {
				defer func() { <-slots }()
				s.tellOne(ctx, p)
			})
		}
		sending.Wait()
	}
}

// tellOne sends one message, and records what became of it.
func (s *Server) tellOne(ctx context.Context, p core.TaskPush) {
	claimed := p.NextAt
	news := p.State
	status, err := s.post(ctx, p, claimed)
	if ctx.Err() != nil {
		return // the server stops: the claim runs out, and it is sent again
	}
	now := s.d.Now().UTC()
	p.NextAt = now
	switch {
	case err == nil:
		p.Attempts, p.Failing, p.Error = 0, nil, ""
		p.Done = final(news)
	case status == http.StatusGone:
		p.Done, p.Error = true, "the address is gone (HTTP status 410)"
	default:
		p.Error = core.MessageOf(err)
		p.State = "" // it was not told
		if p.Attempts++; p.Failing == nil {
			p.Failing = &now
		}
		wait := tellFirst << min(p.Attempts-1, 16)
		p.NextAt = now.Add(min(wait, tellLongest))
		if p.NextAt.Sub(*p.Failing) > s.d.Settings.GiveUpAfter {
			p.Done = true
			s.d.Logger.Warn("a push notification was given up", "run", p.Run, "config", p.ID, "attempts", p.Attempts, "error", p.Error)
		}
	}
	if err := s.d.Store.SavePush(ctx, p, claimed); err != nil {
		s.d.Logger.Warn("a push notification could not be recorded; it may be sent again", "run", p.Run, "error", err)
	}
}

func final(state string) bool {
	switch core.TaskState(state) {
	case core.TaskCompleted, core.TaskFailed, core.TaskRejected, core.TaskCanceled:
		return true
	default:
		return false
	}
}

// post sends the task to a client.
func (s *Server) post(ctx context.Context, p core.TaskPush, at time.Time) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	run, err := s.d.Runs.Run(ctx, p.Run)
	if err != nil {
		return 0, err
	}
	none := 0
	t, err := s.task(ctx, run, view{history: &none, artifacts: true})
	if err != nil {
		return 0, err
	}
	body, err := json.Marshal(a2a.StreamResponse{Event: t})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return 0, core.Errorf(core.CodeInvalid, "the address cannot be used")
	}
	if err := s.sign(ctx, req, p, at, body); err != nil {
		return 0, err
	}
	resp, err := s.d.Sender.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()                                       //nolint:errcheck // read only
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, core.Errorf(core.CodeUnavailable, "the address answers with HTTP status %d", resp.StatusCode)
	}
	return resp.StatusCode, nil
}

// sign adds what lets the client know who sends: its own token and credentials, a signature of Standard Webhooks where it has
// given a secret for that, and else a JSON Web Token that anybody can check by /.well-known/jwks.json.
func (s *Server) sign(ctx context.Context, req *http.Request, p core.TaskPush, at time.Time, body []byte) error {
	secrets, err := s.openPush(p)
	if err != nil {
		return err
	}
	now := s.d.Now()
	sum := sha256.Sum256(body)
	id := p.ID + "-" + hex.EncodeToString(sum[:8]) // the same when the message is sent again
	h := req.Header
	h.Set("Content-Type", contentEvent)
	h.Set(a2a.SvcParamVersion, string(a2a.Version))
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", fmt.Sprint(now.Unix()))
	if secrets.Token != "" {
		h.Set("X-A2A-Notification-Token", secrets.Token) // the libraries do not agree on the name
		h.Set("A2A-Notification-Token", secrets.Token)
	}
	if strings.EqualFold(secrets.Scheme, webhookScheme) {
		key, err := webhookSecret(secrets.Credentials)
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", id, now.Unix(), body)
		h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		return nil
	}
	if secrets.Credentials != "" {
		h.Set("Authorization", secrets.Scheme+" "+secrets.Credentials)
	}
	token, err := s.webToken(ctx, p, fmt.Sprintf("%s-%d", id, at.UnixMilli()), body, now)
	if err != nil {
		return err
	}
	h.Set("X-A2A-Signature", token)
	if h.Get("Authorization") == "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// webToken is a JSON Web Token about one message.
func (s *Server) webToken(ctx context.Context, p core.TaskPush, id string, body []byte, now time.Time) (string, error) {
	key, err := s.keys.get(ctx, true)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	claims, err := json.Marshal(map[string]any{
		"iss": s.d.PublicURL(), "aud": p.URL, "iat": now.Unix(), "exp": now.Add(tokenTime).Unix(), "jti": id, "taskId": p.Run, "request_body_sha256": hex.EncodeToString(sum[:]),
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
