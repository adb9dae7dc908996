package a2a_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/gowebpki/jcs"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/peers/a2a"
	"github.com/sutazai/sutazai/services/peers/peerstest"
)

// signer signs cards, and shows its key.
type signer struct {
	key ed25519.PrivateKey
	set []byte
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k1", Algorithm: "EdDSA", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return &signer{private, set}
}

// sign returns a card with a signature by the key that is said to be at jku.
func (s *signer) sign(t *testing.T, card, jku string) string {
	t.Helper()
	canonical, err := jcs.Transform([]byte(card))
	if err != nil {
		t.Fatal(err)
	}
	o := (&jose.SignerOptions{}).WithType("JOSE").WithHeader("kid", "k1")
	if jku != "" {
		o = o.WithHeader("jku", jku)
	}
	maker, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: s.key}, o)
	if err != nil {
		t.Fatal(err)
	}
	made, err := maker.Sign(canonical)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := made.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(compact, ".")
	return strings.TrimSuffix(card, "}") + `,"signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`
}

func TestACardIsHeldToItsSignature(t *testing.T) {
	t.Parallel()
	right, wrong := newSigner(t), newSigner(t)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the server of the keys gets the credential")
		}
		_, _ = w.Write(right.set)
	}))
	t.Cleanup(keys.Close)
	elsewhere := strings.Replace(keys.URL, "127.0.0.1", "localhost", 1) // another host than the peer's
	const card = `{"name":"x","skills":[],"supportedInterfaces":[{"url":"AT","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`
	for name, tc := range map[string]struct {
		change   func(card, at string) string
		cardKeys string
		code     core.Code // "" = the card is taken
		say      string
	}{
		"no signature":                    {func(card, _ string) string { return card }, "", "", ""},
		"no signature, but one is needed": {func(card, _ string) string { return card }, elsewhere, core.CodeForbidden, "is not signed"},
		"by the right key":                {func(card, _ string) string { return right.sign(t, card, "") }, elsewhere, "", ""},
		"by another key":                  {func(card, _ string) string { return wrong.sign(t, card, "") }, elsewhere, core.CodeForbidden, "signed by none of its keys"},
		"changed afterwards":              {func(card, _ string) string { return strings.Replace(right.sign(t, card, ""), `"x"`, `"y"`, 1) }, elsewhere, core.CodeForbidden, "signed by none of its keys"},
		"no JSON Web Signature": {func(card, _ string) string {
			return strings.TrimSuffix(card, "}") + `,"signatures":[{"protected":"e30","signature":"AA"}]}`
		}, elsewhere, core.CodeForbidden, "signed by none of its keys"},
		"by a key of the peer's":                {func(card, at string) string { return right.sign(t, card, at+"/keys") }, "", "", ""},
		"changed, and the peer has the key":     {func(card, at string) string { return strings.Replace(right.sign(t, card, at+"/keys"), `"x"`, `"y"`, 1) }, "", core.CodeForbidden, "signed by none of its keys"},
		"by a key that somebody else has":       {func(card, _ string) string { return wrong.sign(t, card, "https://elsewhere.example/keys") }, "", "", ""},
		"the keys cannot be read":               {func(card, at string) string { return right.sign(t, card, at+"/none") }, "", core.CodeInvalid, "keys of the card"},
		"the keys are at another place by name": {func(card, _ string) string { return wrong.sign(t, card, elsewhere) }, elsewhere, core.CodeForbidden, "signed by none of its keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := newSide(t)
			whole := tc.change(strings.Replace(card, "AT", other.url+"/rpc", 1), other.url)
			other.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/rpc":
					_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":"1","result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"Hello."}]}}}`)
				case "/keys":
					_, _ = w.Write(right.set)
				case "/none":
					_, _ = io.WriteString(w, "[]")
				default:
					_, _ = io.WriteString(w, whole)
				}
			}))
			p := peer(t, a2a.Options{URL: other.url, CardKeys: tc.cardKeys, Auth: a2a.Auth{Kind: "bearer", Token: core.NewSecret("s3cret")}})
			answer, err := p.Talk(t.Context(), peerstest.Call("run:1", "x"), peerstest.NewEvents().Peer())
			if tc.code == "" {
				if err != nil || answer.Text != "Hello." {
					t.Errorf("answered %+v, %v", answer, err)
				}
				return
			}
			if core.CodeOf(err) != tc.code || !strings.Contains(core.MessageOf(err), tc.say) {
				t.Errorf("said %s: %v; want %q", core.CodeOf(err), err, tc.say)
			}
		})
	}
}

func TestCredentialsDoNotGoWhereNothingIsEncrypted(t *testing.T) {
	t.Parallel()
	for _, at := range []string{`"http://127.0.0.1:1/","protocolBinding":"JSONRPC"`, `"grpc://127.0.0.1:1","protocolBinding":"GRPC"`} {
		other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"name":"x","supportedInterfaces":[{"url":`+at+`,"protocolVersion":"1.0"}]}`)
		}))
		t.Cleanup(other.Close)
		roots := x509.NewCertPool()
		roots.AddCert(other.Certificate())
		p := peer(t, a2a.Options{URL: other.URL, RootCAs: roots, Auth: a2a.Auth{Kind: "bearer", Token: core.NewSecret("s3cret")}})
		_, err := p.Talk(t.Context(), peerstest.Call("run:1", "x"), peerstest.NewEvents().Peer())
		if core.CodeOf(err) != core.CodeForbidden || !strings.Contains(core.MessageOf(err), "not encrypted") {
			t.Errorf("%s: %v", at, err)
		}
	}
}

func TestAPeerSaysHowItDoes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	other := newSide(t)
	p := peer(t, a2a.Options{URL: other.url, Now: func() time.Time { return now }})
	if st := p.Status(t.Context()); st.State != "unhealthy" || !strings.Contains(st.Detail, "peers.peer.url") {
		t.Errorf("without a card: %+v", st)
	}
	other.set(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"name":"x","description":"Files.","supportedInterfaces":[{"url":"`+other.url+`","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`)
	}))
	if st := p.Status(t.Context()); st.State != "unhealthy" {
		t.Errorf("it is asked all the time: %+v", st)
	}
	now = now.Add(time.Minute)
	if st := p.Status(t.Context()); st.State != "healthy" || st.Description != "Files." || !strings.HasPrefix(st.Detail, "jsonrpc of A2A 1.0 at 127.0.0.1:") {
		t.Errorf("with a card: %+v", st)
	}
	now = now.Add(time.Minute)
	other.set(http.NotFoundHandler())
	if st := p.Status(t.Context()); st.State != "unhealthy" {
		t.Errorf("the card is gone: %+v", st)
	}
}
