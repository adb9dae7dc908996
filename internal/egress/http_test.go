package egress

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

func TestTheClientForLibrariesReachesTheSameAddresses(t *testing.T) {
	t.Parallel()
	canary := newCanary(t)
	var seen http.Header
	allowed, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://127.0.0.1:"+canary.port, http.StatusFound)
			return
		}
		_, _ = w.Write([]byte(strings.Repeat("x", 100)))
	})
	c := newClient(t, Config{AllowHosts: []string{allowed}, MaxBytes: 10, OnlyHosts: []string{"127.0.0.1"}}).HTTPClient()
	get := func(url string) (int, error) {
		resp, err := c.Get(url)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		n := 0
		for buf := make([]byte, 64); ; {
			k, err := resp.Body.Read(buf)
			if n += k; err != nil {
				return n, nil
			}
		}
	}
	if n, err := get(url); err != nil || n != 100 || seen.Get("User-Agent") != "SutazAI" {
		t.Errorf("%d bytes, %v, %v", n, err, seen)
	}
	for _, wrong := range []string{"http://127.0.0.1:" + canary.port, url + "/away", "http://localhost:" + canary.port, "ftp://127.0.0.1/"} {
		if _, err := get(wrong); core.CodeOf(err) != core.CodeForbidden && core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
