package a2a

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	grpcv0 "github.com/a2aproject/a2a-go/v2/a2agrpc/v0"
	grpcv1 "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// connection is a way to the agent that its card describes.
type connection struct {
	card      *a2a.AgentCard
	raw       []byte
	at        time.Time
	client    *a2aclient.Client
	transport string // jsonrpc, rest, grpc
	version   a2acheck.Version
	host      string
}

// connect returns the way to the agent. Its card is asked for again after a while; where that fails, the old one serves on.
func (p *Peer) connect(ctx context.Context) (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, err := p.refresh(ctx, cardAge)
	if c != nil {
		return c, nil
	}
	return nil, err
}

// refresh reads the card again if it is older than age, and returns what can be used: also with an error, if that is about
// reaching the peer now. p.mu is held.
func (p *Peer) refresh(ctx context.Context, age time.Duration) (*connection, error) {
	if p.conn != nil && p.o.Now().Sub(p.conn.at) < age {
		return p.conn, nil
	}
	raw, err := p.fetchCard(ctx)
	if err != nil && core.CodeOf(err) != core.CodeInvalid {
		return p.conn, err
	}
	if err != nil {
		return nil, err
	}
	if p.conn != nil && bytes.Equal(raw, p.conn.raw) {
		p.conn.at = p.o.Now()
		return p.conn, nil
	}
	next, err := p.open(ctx, raw)
	if err != nil {
		return nil, err
	}
	if p.conn != nil { // turns that use it have their own requests; only idle connections end
		if err := p.conn.client.Destroy(); err != nil {
			p.o.Logger.Debug("the connection to a peer was not closed", "peer", p.o.Name, "error", err)
		}
	}
	p.conn = next
	return next, nil
}

// fetchCard gets the agent's card. CodeInvalid: what is there is no card.
func (p *Peer) fetchCard(ctx context.Context) ([]byte, error) {
	at := p.o.URL
	if !strings.HasSuffix(at, ".json") {
		at = strings.TrimSuffix(at, "/") + cardPath
	}
	raw, err := p.get(ctx, at)
	if err != nil {
		return nil, p.about(err, "the card of peer %s cannot be read", p.o.Name)
	}
	if err := p.check.Check(a2acheck.V10, "Card", "card", raw); err != nil {
		return nil, p.malformed(err)
	}
	return raw, nil
}

// get reads a small file of the peer's.
func (p *Peer) get(ctx context.Context, at string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cardTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "%q is no address", short(at, 200))
	}
	req.Header.Set("Accept", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, unwrapURL(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusOK {
		return nil, p.status(resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxCard+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxCard {
		return nil, core.Errorf(core.CodeInvalid, "it is larger than %d bytes", maxCard)
	}
	return raw, nil
}

// open makes a connection of a card.
func (p *Peer) open(ctx context.Context, raw []byte) (*connection, error) {
	plain, err := withoutSecurity(raw)
	if err != nil {
		return nil, p.malformed(core.Wrap(core.CodeInvalid, err, "card: it is no object"))
	}
	card, err := a2av0.NewAgentCardParser()(plain)
	if err != nil {
		return nil, p.malformed(core.Wrap(core.CodeInvalid, err, "card: its provider, skills or capabilities cannot be read"))
	}
	if err := p.verify(ctx, raw, card.Signatures); err != nil {
		return nil, err
	}
	if len(card.SupportedInterfaces) == 0 {
		if at := oldURL(raw); at != "" { // before 0.3.0 JSON-RPC was the only way
			card.SupportedInterfaces = []*a2a.AgentInterface{{URL: at, ProtocolBinding: a2a.TransportProtocolJSONRPC, ProtocolVersion: a2av0.Version}}
		}
	}
	way, err := p.choose(card.SupportedInterfaces)
	if err != nil {
		return nil, err
	}
	c := &connection{card: card, raw: raw, at: p.o.Now(), transport: transportName(way.ProtocolBinding), version: versionOf(way)}
	if u, err := url.Parse(way.URL); err == nil && u.Host != "" {
		c.host = u.Host
	} else {
		c.host = way.URL
	}
	// The library calls by what the card says, which includes that it streams.
	chosen := *card
	chosen.SupportedInterfaces = []*a2a.AgentInterface{way}
	c.client, err = a2aclient.NewFromCard(ctx, &chosen, p.transports()...)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "the peer %s cannot be reached as its card says (%s at %s)", p.o.Name, c.transport, c.host)
	}
	return c, nil
}

// withoutSecurity drops what a card says about credentials: the settings say what is shown, and servers do not agree on how
// it is written.
func withoutSecurity(raw []byte) ([]byte, error) {
	var card map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&card); err != nil {
		return nil, err
	}
	drop := func(object map[string]any) {
		for _, name := range []string{"security", "securityRequirements", "securitySchemes"} {
			delete(object, name)
		}
	}
	drop(card)
	skills, _ := card["skills"].([]any)
	for _, skill := range skills {
		if object, ok := skill.(map[string]any); ok {
			drop(object)
		}
	}
	return json.Marshal(card)
}

func (p *Peer) transports() []a2aclient.FactoryOption {
	dial := p.grpcDial
	return []a2aclient.FactoryOption{
		a2aclient.WithDefaultsDisabled(),
		a2aclient.WithJSONRPCTransport(p.http),
		a2aclient.WithRESTTransport(p.http),
		a2aclient.WithTransport(a2a.TransportProtocolGRPC, grpcFactory(dial, grpcv1.NewGRPCTransport)),
		a2av0.WithJSONRPCTransport(a2av0.JSONRPCTransportConfig{Client: p.http}),
		a2av0.WithRESTTransport(a2av0.RESTTransportConfig{Client: p.http}),
		a2aclient.WithCompatTransport(a2av0.Version, a2a.TransportProtocolGRPC, grpcFactory(dial, grpcv0.NewGRPCTransport)),
	}
}

func grpcFactory(dial func(string) (*grpc.ClientConn, error), make func(*grpc.ClientConn) a2aclient.Transport) a2aclient.TransportFactory {
	return a2aclient.TransportFactoryFn(func(_ context.Context, _ *a2a.AgentCard, way *a2a.AgentInterface) (a2aclient.Transport, error) {
		conn, err := dial(way.URL)
		if err != nil {
			return nil, err
		}
		return make(conn), nil
	})
}

// grpcDial prepares a gRPC connection to what a card calls a URL: host:port, or a URL with a scheme.
func (p *Peer) grpcDial(at string) (*grpc.ClientConn, error) {
	target, secure := grpcTarget(at, p.encrypted())
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(&tls.Config{RootCAs: p.o.RootCAs, MinVersion: tls.VersionTLS12})
	}
	auth := newAuthorizer(p.o, p.egress)
	return grpc.NewClient("passthrough:///"+target,
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return p.egress.Dial(ctx, address) }),
		grpc.WithPerRPCCredentials(perCall{auth}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxEvent)),
		grpc.WithUnaryInterceptor(noteUnary), grpc.WithStreamInterceptor(noteStream),
		grpc.WithDisableServiceConfig(), grpc.WithNoProxy(), grpc.WithUserAgent("SutazAI"),
	)
}

func grpcTarget(at string, secure bool) (target string, tls bool) {
	if u, err := url.Parse(at); err == nil && u.Host != "" {
		secure = u.Scheme == "https" || u.Scheme == "grpcs"
		at = u.Host
	}
	if _, _, err := net.SplitHostPort(at); err != nil {
		port := "80"
		if secure {
			port = "443"
		}
		at = net.JoinHostPort(strings.Trim(at, "[]"), port)
	}
	return at, secure
}

// choose picks the first way on the card that the settings allow.
func (p *Peer) choose(ways []*a2a.AgentInterface) (*a2a.AgentInterface, error) {
	var refused, plain []string
	usable := slices.DeleteFunc(slices.Clone(ways), func(w *a2a.AgentInterface) bool {
		if w == nil || transportName(w.ProtocolBinding) == "" || versionOf(w) == "" {
			return true
		}
		if p.o.Transport != "" && p.o.Transport != "auto" && p.o.Transport != transportName(w.ProtocolBinding) {
			return true
		}
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" {
			u = &url.URL{Host: w.URL} // as cards write addresses of gRPC
		}
		switch {
		case !p.named(u.Hostname()):
			refused = append(refused, short(u.Host, 100))
		case !p.allowed(u):
			plain = append(plain, short(w.URL, 200))
		default:
			return false
		}
		return true
	})
	// A newer version goes first; within one, the card's own order stands.
	slices.SortStableFunc(usable, func(a, b *a2a.AgentInterface) int { return strings.Compare(string(versionOf(b)), string(versionOf(a))) })
	if len(usable) > 0 {
		return usable[0], nil
	}
	if len(refused) > 0 {
		return nil, core.Errorf(core.CodeForbidden, "the card of peer %s names %s; add the host to peers.%s.hosts if it may have the credentials", p.o.Name, strings.Join(refused, ", "), p.o.Name)
	}
	if len(plain) > 0 {
		return nil, core.Errorf(core.CodeForbidden, "the card of peer %s names %s, which is not encrypted, though peers.%s.url is; whoever runs the peer must correct its card", p.o.Name, strings.Join(plain, ", "), p.o.Name)
	}
	return nil, core.Errorf(core.CodeInvalid, "card.supportedInterfaces of peer %s has none that can be used (transport %s; versions 1.0 and 0.3)", p.o.Name, p.o.Transport)
}

func transportName(binding a2a.TransportProtocol) string {
	switch strings.ToUpper(string(binding)) {
	case "JSONRPC":
		return "jsonrpc"
	case "HTTP+JSON":
		return "rest"
	case "GRPC":
		return "grpc"
	}
	return ""
}

// versionOf is the version that is spoken at an interface; "" for one that is not known.
func versionOf(w *a2a.AgentInterface) a2acheck.Version {
	switch v := string(w.ProtocolVersion); {
	case v == "1.0" || strings.HasPrefix(v, "1."):
		return a2acheck.V10
	case v == "" || v == "0.3" || strings.HasPrefix(v, "0."):
		return a2acheck.V03
	}
	return ""
}

// unwrapURL drops what http.Client adds to an error: the address may hold a secret.
func unwrapURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
