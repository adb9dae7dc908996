package bedrock

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// service is the name under which AWS checks signatures of both of Bedrock's servers.
const service = "bedrock"

// signer makes the signatures of one region. Safe for many goroutines.
type signer struct {
	region string
	v4     *v4.Signer
	now    func() time.Time
}

var errCredentials = errors.New("the key has not the form ACCESS_KEY_ID:SECRET or ACCESS_KEY_ID:SECRET:SESSION_TOKEN")

// isAccessKey says whether a key is one of an AWS account, which signs; other keys are Bedrock's own and go out as they are.
func isAccessKey(key string) bool { return strings.Contains(key, ":") }

// authorize sends a key of Bedrock's own.
func authorize(h http.Header, key string) {
	if !isAccessKey(key) {
		h.Set("Authorization", "Bearer "+key)
	}
}

// sign adds the signature of an AWS account's key to a finished request.
func (s *signer) sign(r *http.Request, key string, body []byte) error {
	if !isAccessKey(key) {
		return nil
	}
	id, rest, _ := strings.Cut(key, ":")
	secret, token, hasToken := strings.Cut(rest, ":")
	if id == "" || secret == "" || hasToken && token == "" {
		return errCredentials
	}
	// A field of the header that is nil marks something for the transport and is not sent, so it must not be signed.
	signed := r.Clone(r.Context())
	for name, values := range signed.Header {
		if len(values) == 0 {
			delete(signed.Header, name)
		}
	}
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}
	if err := s.v4.SignHTTP(r.Context(), credentials, signed, hex.EncodeToString(sum[:]), service, s.region, s.now()); err != nil {
		return err
	}
	r.Host = signed.Host
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
		if v := signed.Header.Get(name); v != "" {
			r.Header.Set(name, v)
		}
	}
	return nil
}
