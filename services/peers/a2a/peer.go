// Package a2a reaches agents that other servers run, by the Agent2Agent protocol (1.0, and 0.3 where a server knows no
// other): over JSON-RPC, REST or gRPC, as the agent's card says. Nothing that the other side sends is trusted: it is held to
// its form, bounded, and names no host that the settings do not allow.
package a2a

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
	"github.com/sutazai/sutazai/internal/egress"
)

// Bounds of what a peer may send.
const (
	maxAnswer    = 64 << 20 // bytes of one HTTP answer, a whole stream included
	maxEvent     = 8 << 20  // bytes of one event of a stream, or of an answer that is no stream
	maxCard      = 1 << 20  // bytes
	maxText      = 1 << 20  // bytes of what a turn answers
	maxFiles     = 64       // that a turn hands over
	maxFileBytes = 16 << 20 // of all of them together
	maxEvents    = 200_000  // of one turn
	maxQuestions = 50       // approvals asked for in one turn
)

const (
	cardAge     = 10 * time.Minute // how long a card is used
	statusAge   = 30 * time.Second // how long it shows how the peer does
	cardTime    = 15 * time.Second // to get it
	statusTime  = 3 * time.Second
	cancelTime  = 5 * time.Second // to tell a peer that it should stop
	cardPath    = "/.well-known/agent-card.json"
	description = 500 // bytes of a card's description that are shown
)

// Auth is what a peer is shown to be let in.
type Auth struct {
	Kind         string // none, bearer, api_key, basic, oauth
	Token        core.Secret
	Header       string // of api_key; "" = X-API-Key
	User         string // of basic
	TokenURL     string // of oauth, like the following
	ClientID     string
	ClientSecret core.Secret
	Scopes       []string
}

// Options describe a peer.
type Options struct {
	Name      string
	URL       string   // of the agent, or of its card
	Transport string   // auto, jsonrpc, rest, grpc
	Hosts     []string // that the card may name besides the URL's own
	CardKeys  string   // URL of the keys by which the card must be signed; "" = it need not be
	Auth      Auth
	Headers   map[string]core.Secret
	Timeout   time.Duration  // of one turn
	RootCAs   *x509.CertPool // nil = the system's
	// File reads a file of a workspace that goes along with a task; nil = files cannot be sent.
	File   func(ctx context.Context, workspace, name string) (core.File, error)
	Logger *slog.Logger
	Now    func() time.Time
	Poll   time.Duration // first wait between two looks at a task that cannot be followed; 0 = 500 ms
}

// Peer implements peers.Peer.
type Peer struct {
	o      Options
	egress *egress.Client
	http   *http.Client
	check  *a2acheck.Checker
	hosts  []string // that the card may name, and that get what lets us in

	mu     sync.Mutex
	conn   *connection
	told   core.PeerStatus // how it did at toldAt
	toldAt time.Time
}

// New prepares a peer; nothing is sent before the first turn. CodeInvalid: the URL is none.
func New(o Options) (*Peer, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" {
		return nil, core.Errorf(core.CodeInvalid, "peers.%s.url is no address; write it like https://agents.example.com/a2a/clerk", o.Name)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Minute
	}
	if o.Poll == 0 {
		o.Poll = 500 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	trusted := append([]string{u.Hostname()}, o.Hosts...)
	hosts := slices.Clone(trusted)
	for _, further := range []string{o.CardKeys, o.Auth.TokenURL} {
		if f, err := url.Parse(further); err == nil && f.Hostname() != "" {
			hosts = append(hosts, f.Hostname())
		}
	}
	// The settings name these hosts, so that they may be private ones; no other is reached, whatever the peer says.
	out, err := egress.New(egress.Config{
		AllowHosts: hosts, OnlyHosts: hosts, MaxBytes: maxAnswer, Timeout: o.Timeout, HeaderTimeout: o.Timeout, RootCAs: o.RootCAs,
	})
	if err != nil {
		return nil, err
	}
	p := &Peer{o: o, egress: out, check: a2acheck.New(), hosts: trusted}
	p.http = &http.Client{Transport: &transport{p: p, auth: newAuthorizer(o, out)}, CheckRedirect: noRedirect}
	return p, nil
}

// noRedirect: the egress client follows redirects itself, and takes no credential to another origin.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Status asks for the peer's card, unless it was asked for lately.
func (p *Peer) Status(ctx context.Context) core.PeerStatus {
	st := core.PeerStatus{Name: p.o.Name, Protocol: "a2a", State: "unknown", Detail: "its card is being read"}
	if !p.mu.TryLock() {
		return st
	}
	defer p.mu.Unlock()
	if p.o.Now().Sub(p.toldAt) < statusAge {
		return p.told
	}
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	if c, err := p.refresh(ctx, statusAge); err != nil {
		st.State, st.Detail = "unhealthy", core.MessageOf(err)
	} else {
		st.State, st.Detail = "healthy", c.transport+" of A2A "+string(c.version)+" at "+c.host
		st.Description = short(c.card.Description, description)
	}
	p.told, p.toldAt = st, p.o.Now()
	return st
}

// Close ends idle connections.
func (p *Peer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.conn != nil {
		err = p.conn.client.Destroy()
		p.conn = nil
	}
	p.egress.Close()
	return err
}

// allowed says whether an address may be called with what lets us in: its host is the peer's, and it is encrypted if the
// peer's own is.
func (p *Peer) allowed(at *url.URL) bool {
	encrypted := at.Scheme == "https" || at.Scheme == "grpcs" || at.Scheme == "" // without a scheme, gRPC takes the peer's
	return p.named(at.Hostname()) && (encrypted || !p.encrypted())
}

func (p *Peer) encrypted() bool { return strings.HasPrefix(strings.ToLower(p.o.URL), "https:") }

func (p *Peer) named(host string) bool {
	return slices.ContainsFunc(p.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// short cuts a text of a peer's to a length, between characters, without control characters.
func short(text string, limit int) string {
	text = core.CleanText(text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
