package aimodels_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// keyServer answers by key: the status that the table names, 200 for keys that it does not name. It repeats the key, as
// some servers do.
type keyServer struct {
	mu    sync.Mutex
	table map[string]int
	asked []string
}

func (s *keyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.asked = append(s.asked, key)
	status := s.table[key]
	if status == 0 {
		status = http.StatusOK
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error": {"message": "about the key %s"}}`, key)
}

func (s *keyServer) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := strings.Join(s.asked, " ")
	s.asked = nil
	return asked
}

func TestACallGoesOnWithTheNextKey(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		table         map[string]int
		first, second string // the keys that two calls were made with
		want          core.Code
	}{
		{"all work", nil, "key-a", "key-b", ""},
		{"one is refused", map[string]int{"key-a": 401}, "key-a key-b", "key-c", ""},
		{"one may not", map[string]int{"key-a": 403}, "key-a key-b", "key-c", ""},
		{"two have reached their limit", map[string]int{"key-a": 429, "key-b": 429}, "key-a key-b key-c", "key-c", ""},
		{"every one is refused", map[string]int{"key-a": 401, "key-b": 401, "key-c": 401}, "key-a key-b key-c", "key-a", core.CodeUnauthorized},
		{"every one has reached its limit", map[string]int{"key-a": 429, "key-b": 429, "key-c": 429}, "key-a key-b key-c", "key-a", core.CodeRateLimited},
		{"the server fails", map[string]int{"key-a": 500, "key-b": 500}, "key-a", "key-b", core.CodeUnavailable},
		{"the request is wrong", map[string]int{"key-a": 400, "key-b": 400}, "key-a", "key-b", core.CodeInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := &keyServer{table: tc.table}
			s := httptest.NewServer(server)
			defer s.Close()
			ring := aimodels.NewKeyRing("cloud", []core.Secret{core.NewSecret("key-a")}, time.Now)
			ring.Set([]aimodels.Key{{ID: "1", Secret: core.NewSecret("key-b")}, {ID: "2", Secret: core.NewSecret("key-c")}})
			c, err := aimodels.NewHTTPClient(aimodels.HTTPConfig{Name: "cloud", BaseURL: s.URL, Keys: ring})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for call, want := range []string{tc.first, tc.second} {
				var out struct{}
				err := c.PostJSON(t.Context(), "/", map[string]string{"a": "b"}, &out)
				if got := server.took(); got != want || core.CodeOf(err) != tc.want {
					t.Errorf("call %d was made with %q (%v), want %q and the code %q", call+1, got, err, want, tc.want)
				}
				if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), "key-") {
					t.Errorf("the error holds a key: %v", err)
				}
			}
		})
	}
}

func TestAKeyAddedWhileRunningIsUsed(t *testing.T) {
	t.Parallel()
	server := &keyServer{}
	s := httptest.NewServer(server)
	defer s.Close()
	ring := aimodels.NewKeyRing("cloud", nil, time.Now)
	c, err := aimodels.NewHTTPClient(aimodels.HTTPConfig{Name: "cloud", BaseURL: s.URL, Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, keys := range [][]aimodels.Key{nil, {{ID: "1", Secret: core.NewSecret("new")}}, nil} {
		ring.Set(keys)
		var out struct{}
		want := ""
		if len(keys) > 0 {
			want = keys[0].Secret.Reveal()
		}
		if err := c.PostJSON(t.Context(), "/", map[string]string{"a": "b"}, &out); err != nil || server.took() != want {
			t.Errorf("with %v: %v", keys, err)
		}
	}
}
