package bedrock

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// checkSignature does what AWS does: it signs what has arrived, as far as the request says that it is signed, and compares.
func checkSignature(t *testing.T, r *http.Request, body []byte, credentials aws.Credentials) {
	t.Helper()
	sent := r.Header.Get("Authorization")
	_, list, _ := strings.Cut(sent, "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	names := strings.Split(list, ";")
	again, err := http.NewRequestWithContext(t.Context(), r.Method, "http://"+r.Host+r.RequestURI, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	for name, values := range r.Header {
		if slices.Contains(names, strings.ToLower(name)) && name != "X-Amz-Security-Token" && name != "Content-Length" {
			again.Header[name] = values
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Error(err)
		return
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, again, hex.EncodeToString(sum[:]), "bedrock", "eu-central-1", at); err != nil {
		t.Error(err)
	}
	if want := again.Header.Get("Authorization"); sent != want {
		t.Errorf("%s %s\n got %s\nwant %s", r.Method, r.RequestURI, sent, want)
	}
	if r.Header.Get("X-Amz-Security-Token") != credentials.SessionToken {
		t.Errorf("session token %q", r.Header.Get("X-Amz-Security-Token"))
	}
}

func TestRequestsAreSigned(t *testing.T) {
	t.Parallel()
	for key, credentials := range map[string]aws.Credentials{
		"AKIAEXAMPLE:s3cr/et+":           {AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "s3cr/et+"},
		"ASIAEXAMPLE:s3cr/et+:FwoG//tok": {AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "s3cr/et+", SessionToken: "FwoG//tok"},
	} {
		var paths []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			checkSignature(t, r, body, credentials)
			paths = append(paths, r.URL.EscapedPath())
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn"}`)
		}))
		p, err := New(Config{HTTP: aimodels.HTTPConfig{Name: "aws", BaseURL: s.URL, APIKey: key}, Region: "eu-central-1"})
		if err != nil {
			t.Fatal(err)
		}
		_, chatErr := p.Chat(t.Context(), core.ModelRequest{Model: "arn:aws:bedrock:eu-central-1:1:inference-profile/eu.anthropic.claude:0"}, nil)
		_, listErr := p.Models(t.Context())
		p.Close()
		s.Close()
		want := []string{
			"/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Ainference-profile%2Feu.anthropic.claude%3A0/converse-stream", "/foundation-models", "/inference-profiles",
		}
		if chatErr != nil || listErr != nil || !slices.Equal(paths, want) {
			t.Errorf("%v %v %q", chatErr, listErr, paths)
		}
	}
}

// TestAKnownSignature holds the signature of one request, reckoned with the published steps and not with the library.
func TestAKnownSignature(t *testing.T) {
	t.Parallel()
	s := &signer{region: "us-east-1", v4: v4.NewSigner(), now: func() time.Time { return time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC) }}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://bedrock-runtime.us-east-1.amazonaws.com"+address("amazon.nova-lite-v1:0", "converse"), strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Idempotency-Key"] = nil // a mark for the transport, which is not sent
	r.Header.Set("Content-Type", "application/json")
	if err := s.sign(r, "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250102/us-east-1/bedrock/aws4_request, SignedHeaders=content-length;content-type;host;x-amz-date, Signature=af3cf3153446c0b8b21adc300c7121d86194aacc89c5c313e06b8b7355534907"
	if got := r.Header.Get("Authorization"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if values, ok := r.Header["Idempotency-Key"]; !ok || values != nil {
		t.Error("the mark is gone")
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"AKIDEXAMPLE:", ":secret", "AKIDEXAMPLE:canary:"} {
		p, err := New(Config{HTTP: aimodels.HTTPConfig{Name: "aws", APIKey: key}, Region: "eu-central-1"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Chat(t.Context(), core.ModelRequest{Model: "m"}, nil)
		if core.CodeOf(err) != core.CodeUnauthorized || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
		p.Close()
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		region, base string
		models, list string // the servers; "" = refused
	}{
		{"eu-central-1", "", "https://bedrock-runtime.eu-central-1.amazonaws.com", "https://bedrock.eu-central-1.amazonaws.com"},
		{"cn-north-1", "", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "https://bedrock.cn-north-1.amazonaws.com.cn"},
		{"", "https://bedrock-runtime.us-gov-west-1.amazonaws.com", "https://bedrock-runtime.us-gov-west-1.amazonaws.com", "https://bedrock.us-gov-west-1.amazonaws.com"},
		{"us-east-1", "https://proxy.example/b", "https://proxy.example/b", "https://proxy.example/b"},
		{"", "", "", ""},
		{"", "https://proxy.example", "", ""},
		{"evil.example/", "", "", ""},
	} {
		p, err := New(Config{HTTP: aimodels.HTTPConfig{Name: "aws", BaseURL: c.base}, Region: c.region})
		if c.models == "" {
			if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "models.providers.aws.region") {
				t.Errorf("%q %q: %v", c.region, c.base, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q %q: %v", c.region, c.base, err)
			continue
		}
		p.Close()
		if models, list := servers(c.base, c.region); models != c.models || list != c.list {
			t.Errorf("%q %q: %s %s", c.region, c.base, models, list)
		}
	}
}
