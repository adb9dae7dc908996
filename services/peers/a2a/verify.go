package a2a

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/go-jose/go-jose/v4"
	"github.com/gowebpki/jcs"

	"github.com/sutazai/sutazai/core"
)

// algorithms by which a card may be signed: none with a shared key, and not "none".
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512}
}

// verify checks the signatures of a card (section 8.4 of the specification). With peers.*.card_keys one of them must be right
// by a key from there. Without, a signed card is held to the keys that it names, as far as they are at a host of the peer's:
// that shows that it is whole.
func (p *Peer) verify(ctx context.Context, raw []byte, signatures []a2a.AgentCardSignature) error {
	if len(signatures) == 0 {
		if p.o.CardKeys != "" {
			return core.Errorf(core.CodeForbidden, "the card of peer %s is not signed, and peers.%s.card_keys demands it", p.o.Name, p.o.Name)
		}
		return nil
	}
	payloads, err := payloads(raw)
	if err != nil {
		return p.malformed(core.Wrap(core.CodeInvalid, err, "card: it has no canonical form"))
	}
	checked := false
	for _, s := range signatures {
		at := p.o.CardKeys
		if at == "" {
			at = p.keysOf(s)
		}
		if at == "" {
			continue
		}
		checked = true
		keys, err := p.keys(ctx, at)
		if err != nil {
			return p.about(err, "the keys of the card of peer %s cannot be read", p.o.Name)
		}
		for _, payload := range payloads {
			if signed(s, payload, keys) {
				return nil
			}
		}
	}
	if !checked {
		return nil // whose keys are elsewhere says nothing, for better or worse
	}
	return core.Errorf(core.CodeForbidden, "the card of peer %s is signed by none of its keys; somebody has changed it on the way, or the keys are not the right ones", p.o.Name)
}

// keysOf is where the signature says that its key is, if that is at the peer's.
func (p *Peer) keysOf(s a2a.AgentCardSignature) string {
	b, err := base64.RawURLEncoding.DecodeString(s.Protected)
	if err != nil {
		return ""
	}
	var header struct {
		JKU string `json:"jku"`
	}
	if json.Unmarshal(b, &header) != nil {
		return ""
	}
	u, err := url.Parse(header.JKU)
	if err != nil || !p.allowed(u) {
		return ""
	}
	return header.JKU
}

func (p *Peer) keys(ctx context.Context, at string) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	raw, err := p.get(ctx, at)
	if err != nil {
		return set, err
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return set, core.Wrap(core.CodeInvalid, err, "they are no JSON Web Key Set")
	}
	return set, nil
}

// signed says whether one of the keys has made the signature.
func signed(s a2a.AgentCardSignature, payload []byte, keys jose.JSONWebKeySet) bool {
	compact := s.Protected + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + strings.TrimRight(s.Signature, "=")
	parsed, err := jose.ParseSignedCompact(compact, algorithms())
	if err != nil || len(parsed.Signatures) != 1 {
		return false
	}
	candidates := keys.Keys
	if kid := parsed.Signatures[0].Header.KeyID; kid != "" {
		candidates = keys.Key(kid)
	}
	for _, key := range candidates {
		if !key.IsPublic() {
			continue
		}
		if _, err := parsed.Verify(key); err == nil {
			return true
		}
	}
	return false
}

// payloads are the forms of a card that may be signed: as it is, and without what is empty. Both without the signatures.
func payloads(raw []byte) ([][]byte, error) {
	var card map[string]any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&card); err != nil {
		return nil, err
	}
	delete(card, "signatures")
	forms := []any{card}
	if clean := withoutEmpty(card); clean != nil {
		forms = append(forms, clean)
	}
	var out [][]byte
	for _, form := range forms {
		b, err := json.Marshal(form)
		if err != nil {
			return nil, err
		}
		canonical, err := jcs.Transform(b)
		if err != nil {
			return nil, err
		}
		out = append(out, canonical)
	}
	return out, nil
}

// withoutEmpty drops empty texts, lists and objects, and what then is empty; nil for what is empty itself.
func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if item = withoutEmpty(item); item != nil {
				out[key] = item
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, item := range v {
			if item = withoutEmpty(item); item != nil {
				out = append(out, item)
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}

// oldURL is where an agent of an early version is.
func oldURL(raw []byte) string {
	var card struct {
		URL string `json:"url"`
	}
	_ = json.Unmarshal(raw, &card) // it has been held to its form
	return card.URL
}
