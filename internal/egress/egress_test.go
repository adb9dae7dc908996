package egress

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sutazai/sutazai/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary accepts connections on loopback, IPv4 and IPv6 where there is, and counts them.
type canary struct {
	hits atomic.Int64
	port string
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{}
	four, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, c.port, _ = net.SplitHostPort(four.Addr().String())
	listeners := []net.Listener{four}
	if six, err := net.Listen("tcp6", "[::1]:"+c.port); err == nil {
		listeners = append(listeners, six)
	}
	done := make(chan struct{}, len(listeners))
	for _, l := range listeners {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				c.hits.Add(1)
				conn.Close() //nolint:errcheck,gosec // only counted
			}
		}()
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			l.Close() //nolint:errcheck,gosec // test
		}
		for range listeners {
			<-done
		}
		if n := c.hits.Load(); n != 0 {
			t.Errorf("the canary was reached %d times", n)
		}
	})
	return c
}

// fakeDNS is a real DNS server on loopback; answer gives the addresses of a name.
func fakeDNS(t *testing.T, answer func(name string) []netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(buf[:n]) != nil || len(q.Questions) == 0 {
				continue
			}
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true}, Questions: q.Questions}
			question := q.Questions[0]
			addrs := answer(strings.TrimSuffix(question.Name.String(), "."))
			if addrs == nil {
				reply.RCode = dnsmessage.RCodeNameError
			}
			for _, a := range addrs {
				h := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}
				switch {
				case a.Is4() && question.Type == dnsmessage.TypeA:
					reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && question.Type == dnsmessage.TypeAAAA:
					reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			if packed, err := reply.Pack(); err == nil {
				conn.WriteTo(packed, from) //nolint:errcheck,gosec // test
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close() //nolint:errcheck,gosec // test
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

func newClient(t *testing.T, c Config) *Client {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// serve runs a handler on a loopback address and returns its "host:port" and URL.
func serve(t *testing.T, h http.HandlerFunc) (hostPort, url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), s.URL
}

// read fetches a URL to its end.
func read(t *testing.T, e *Client, url string) (string, error) {
	t.Helper()
	resp, err := e.Get(t.Context(), url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // test
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// names of the fake DNS that lead where nothing may go.
var trapNames = map[string]string{ //nolint:gochecknoglobals // a test's table
	"loop.test": "127.0.0.1", "loop6.test": "::1", "ten.test": "10.1.2.3", "home.test": "192.168.1.1", "seventeen.test": "172.20.0.1",
	"meta.test": "169.254.169.254", "azure.test": "168.63.129.16", "ali.test": "100.100.100.200", "aws6.test": "fd00:ec2::254",
	"cgnat.test": "100.64.0.1", "zero.test": "0.0.0.0", "zero6.test": "::", "multi.test": "224.0.0.251", "multi6.test": "ff02::1",
	"ula.test": "fd12:3456::1", "link6.test": "fe80::1", "site.test": "fec0::1", "mapped.test": "::ffff:127.0.0.1",
	"compat.test": "::127.0.0.1", "nat64.test": "64:ff9b::7f00:1", "nat64local.test": "64:ff9b:1::7f00:1", "sixtofour.test": "2002:7f00:1::",
	"teredo.test": "2001:0:7f00:1::", "doc.test": "192.0.2.1", "doc6.test": "2001:db8::1", "bench.test": "198.18.0.1",
	"class-e.test": "240.0.0.1", "broadcast.test": "255.255.255.255", "ietf.test": "192.0.0.192", "discard.test": "100::1",
	"relay.test": "192.88.99.1", "orchid.test": "2001:20::1", "doc3.test": "3fff::1", "loop-end.test": "127.255.255.254",
}

func TestNothingButPublicAddressesIsReached(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	dns := fakeDNS(t, func(name string) []netip.Addr {
		if a, ok := trapNames[name]; ok {
			return []netip.Addr{netip.MustParseAddr(a)}
		}
		return nil
	})
	urls := []string{
		"http://127.0.0.1:PORT/", "http://127.0.0.1:PORT", "http://localhost:PORT/", "http://LOCALHOST:PORT/", "http://localhost.:PORT/",
		"http://[::1]:PORT/", "http://[0:0:0:0:0:0:0:1]:PORT/", "http://[::]:PORT/", "http://0.0.0.0:PORT/", "http://0:PORT/",
		"http://127.1:PORT/", "http://127.0.1:PORT/", "http://2130706433:PORT/", "http://0x7f000001:PORT/", "http://0x7f.0.0.1:PORT/",
		"http://0177.0.0.1:PORT/", "http://017700000001:PORT/", "http://127.0.0.1.:PORT/", "http://127.000.000.001:PORT/",
		"http://[::ffff:127.0.0.1]:PORT/", "http://[::ffff:7f00:1]:PORT/", "http://[::127.0.0.1]:PORT/", "http://[64:ff9b::127.0.0.1]:PORT/",
		"http://[2002:7f00:1::]:PORT/", "http://[fe80::1%25lo]:PORT/", "http://[::1%25lo]:PORT/", "http://127.0.0.1:PORT#@example.com/",
		"http://example.com@127.0.0.1:PORT/", "http://user:secret@127.0.0.1:PORT/", "http://①②⑦.⓪.⓪.①:PORT/", "http://127。0。0。1:PORT/",
		"http://%31%32%37.0.0.1:PORT/", "http://127.0.0.1%2f@example.com:PORT/", "https://127.0.0.1:PORT/", "HTTP://127.0.0.1:PORT/",
		"//127.0.0.1:PORT/", "127.0.0.1:PORT", "/etc/passwd", "", "http://", "http:///x", "http://:PORT/", "http:127.0.0.1:PORT",
		"file:///etc/passwd", "ftp://127.0.0.1:PORT/", "gopher://127.0.0.1:PORT/_x", "dict://127.0.0.1:PORT/x", "unix:///var/run/docker.sock",
		"data:text/plain,x", "javascript:alert(1)", "ws://127.0.0.1:PORT/", "ldap://127.0.0.1:PORT/", "jar:http://127.0.0.1:PORT!/",
		"http://127.0.0.1:PORT\r\nHost: x/", "http://127.0.0.1:PORT\\@example.com/", "http://[::1/", "http://127.0.0.1:99999/", "http://169.254.169.254/latest/meta-data/",
		"http://[fd00:ec2::254]/", "http://10.0.0.1/", "http://100.64.1.1/", "http://localtest.invalid:PORT/",
	}
	for name := range trapNames {
		urls = append(urls, "http://"+name+":PORT/")
	}
	e := newClient(t, Config{Resolver: dns, Timeout: 20 * time.Second})
	if len(urls) < 60 {
		t.Fatalf("only %d URLs", len(urls))
	}
	for _, u := range urls {
		u = strings.ReplaceAll(u, "PORT", c.port)
		resp, err := e.Get(t.Context(), u)
		if err == nil {
			resp.Body.Close() //nolint:errcheck,gosec // test
			t.Errorf("%q was fetched: %s", u, resp.Status)
			continue
		}
		switch code := core.CodeOf(err); code {
		case core.CodeForbidden, core.CodeInvalid:
		case core.CodeUnavailable: // a spelling that no resolver knows
			if ip := trapNames[strings.TrimSuffix(strings.TrimPrefix(u, "http://"), ":"+c.port+"/")]; ip != "" {
				t.Errorf("%q (%s): %v, want it refused because of its address", u, ip, err)
			}
		default:
			t.Errorf("%q: code %s, %v", u, code, err)
		}
		if strings.Contains(core.MessageOf(err), "secret") {
			t.Errorf("%q: the message repeats a password: %s", u, core.MessageOf(err))
		}
	}
	t.Logf("%d URLs, %d hits of the canary", len(urls), c.hits.Load())
}

func TestPublicAddressesAreNotRefused(t *testing.T) {
	t.Parallel()
	e := newClient(t, Config{})
	for _, a := range []string{"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1", "192.0.1.1",
		"198.17.255.255", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "::ffff:8.8.8.8"} {
		if why := e.refused(netip.MustParseAddr(a)); why != "" {
			t.Errorf("%s is refused: %s", a, why)
		}
	}
}

func TestAllowPrivateOpensTheNetworkButNotMetadata(t *testing.T) {
	t.Parallel()
	e := newClient(t, Config{AllowPrivate: true})
	for _, a := range []string{"127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd12::1", "100.64.0.1"} {
		if why := e.refused(netip.MustParseAddr(a)); why != "" {
			t.Errorf("%s is refused: %s", a, why)
		}
	}
	for _, a := range []string{"169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"} {
		if e.refused(netip.MustParseAddr(a)) == "" {
			t.Errorf("%s is reached", a)
		}
	}
}

func TestANameThatChangesItsAddressGainsNothing(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	// The first address is allowed and has a server; the second is the canary's. Both listen on one port.
	l, err := net.Listen("tcp4", "127.0.0.2:"+c.port)
	if err != nil {
		t.Skipf("this system has one loopback address: %v", err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // the next request must look the name up again
		fmt.Fprint(w, "first")                //nolint:errcheck // test
	})}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }() //nolint:errcheck // ends with Close
	t.Cleanup(func() { s.Close(); <-done })       //nolint:errcheck,gosec // test
	var asked atomic.Int64
	dns := fakeDNS(t, func(name string) []netip.Addr {
		if name != "flip.test" {
			return nil
		}
		if asked.Add(1) <= 2 { // one lookup asks for A and AAAA
			return []netip.Addr{netip.MustParseAddr("127.0.0.2")}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	e := newClient(t, Config{Resolver: dns, AllowHosts: []string{"127.0.0.2/32"}})
	url := "http://flip.test:" + c.port + "/"
	if got, err := read(t, e, url); err != nil || got != "first" {
		t.Fatalf("first request: %q, %v", got, err)
	}
	for range 5 {
		if _, err := read(t, e, url); core.CodeOf(err) != core.CodeForbidden {
			t.Fatalf("after the flip: %v, want it refused", err)
		}
	}
}

func TestRedirectsAreCheckedAgain(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	for _, target := range []string{"http://127.0.0.1:" + c.port + "/", "//localhost:" + c.port, "file:///etc/passwd", "http://u:p@127.0.0.1/", "gopher://127.0.0.1/", "http://169.254.169.254/"} {
		host, url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
		e := newClient(t, Config{AllowHosts: []string{host}})
		if _, err := read(t, e, url); core.CodeOf(err) != core.CodeForbidden {
			t.Errorf("redirect to %s: %v, want it refused", target, err)
		}
	}
}

func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	host, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, fmt.Sprintf("/%d", asked.Load()), http.StatusFound)
	})
	e := newClient(t, Config{AllowHosts: []string{host}})
	if _, err := read(t, e, url); err == nil || !strings.Contains(err.Error(), "more than 5 times") {
		t.Errorf("endless redirect: %v", err)
	}
	if n := asked.Load(); n != 6 {
		t.Errorf("%d requests, want 6", n)
	}
}

func TestCredentialsStayAtTheirOrigin(t *testing.T) {
	t.Parallel()
	var got []http.Header
	var other string
	host, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			got = append(got, r.Header.Clone())
			http.Redirect(w, r, other, http.StatusFound)
		case "/back":
			got = append(got, r.Header.Clone())
		default:
			http.Redirect(w, r, "/same?token=hush", http.StatusFound)
		}
	})
	otherHost, otherURL := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Clone())
		http.Redirect(w, r, url+"/back", http.StatusFound)
	})
	other = otherURL
	e := newClient(t, Config{AllowHosts: []string{host, otherHost}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization", "Api-Key", "X-Custom"}
	for _, h := range secrets {
		req.Header.Set(h, "hush")
	}
	resp, err := e.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck,gosec // test
	if len(got) != 3 {
		t.Fatalf("%d requests, want 3", len(got))
	}
	if got[0].Get("X-Api-Key") != "hush" {
		t.Error("a redirect within one origin lost the credentials")
	}
	for i, h := range got[1:] {
		if text := fmt.Sprint(h); strings.Contains(text, "hush") {
			t.Errorf("request %d after the change of origin carries a secret: %s", i+1, text)
		}
	}
}

func TestABodyIsNotSentOnToAnotherOrigin(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	host, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:"+c.port, http.StatusTemporaryRedirect)
	})
	e := newClient(t, Config{AllowHosts: []string{host, "127.0.0.1"}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("secret"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := e.Do(req)
	if err == nil {
		resp.Body.Close() //nolint:errcheck,gosec // test
	}
	if core.CodeOf(err) != core.CodeForbidden {
		t.Errorf("got %v, want it refused", err)
	}
}

func TestABodyIsBoundedAlsoWhenCompressed(t *testing.T) {
	t.Parallel()
	host, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			g := gzip.NewWriter(w)
			zeros := make([]byte, 1<<20)
			for range 50 {
				if _, err := g.Write(zeros); err != nil {
					return
				}
			}
			g.Close() //nolint:errcheck,gosec // test
		case "/exact":
			fmt.Fprint(w, strings.Repeat("x", 1000)) //nolint:errcheck // test
		default:
			fmt.Fprint(w, strings.Repeat("x", 1001)) //nolint:errcheck // test
		}
	})
	e := newClient(t, Config{AllowHosts: []string{host}, MaxBytes: 1000})
	for _, path := range []string{"/bomb", "/more"} {
		got, err := read(t, e, url+path)
		if core.CodeOf(err) != core.CodeTooLarge || len(got) != 1000 {
			t.Errorf("%s: %d bytes, %v; want 1000 and too_large", path, len(got), err)
		}
	}
	if got, err := read(t, e, url+"/exact"); err != nil || len(got) != 1000 {
		t.Errorf("/exact: %d bytes, %v", len(got), err)
	}
	e.SetLimits(2000, 0)
	if got, err := read(t, e, url+"/more"); err != nil || len(got) != 1001 {
		t.Errorf("/more after a change of the limit: %d bytes, %v", len(got), err)
	}
}

func TestTimeIsBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	host, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush() //nolint:errcheck,forcetypeassert // test
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	for _, c := range []Config{
		{AllowHosts: []string{host}, HeaderTimeout: 50 * time.Millisecond},
		{AllowHosts: []string{host}, Timeout: 50 * time.Millisecond},
	} {
		e := newClient(t, c)
		for _, path := range []string{"/header", "/body"} {
			if path == "/body" && c.Timeout == 0 {
				continue
			}
			if _, err := read(t, e, url+path); core.CodeOf(err) != core.CodeTimeout {
				t.Errorf("%s with %+v: %v, want a timeout", path, c, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := newClient(t, Config{AllowHosts: []string{host}})
	if _, err := e.Get(ctx, url); core.CodeOf(err) != core.CodeCancelled || !errors.Is(err, context.Canceled) { //nolint:bodyclose // an error has none
		t.Errorf("cancelled: %v", err)
	}
}

func TestOnlyListedHostsAreReached(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	host, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://localhost:"+c.port+"/", http.StatusFound)
			return
		}
		fmt.Fprint(w, "ok") //nolint:errcheck // test
	})
	e := newClient(t, Config{AllowPrivate: true, OnlyHosts: []string{"127.0.0.1", "*.example.com"}})
	if got, err := read(t, e, url); err != nil || got != "ok" {
		t.Errorf("%s: %q, %v", host, got, err)
	}
	for _, u := range []string{url + "/away", "http://localhost:" + c.port, "http://example.com/", "http://notexample.com/", "http://example.com.evil.test/"} {
		if _, err := read(t, e, u); core.CodeOf(err) != core.CodeForbidden {
			t.Errorf("%s: %v, want it refused", u, err)
		}
	}
	if !e.listed("A.B.example.COM.") || e.listed(".example.com") {
		t.Error("a wildcard is the names below a host")
	}
}

func TestAllowHostsAreChecked(t *testing.T) {
	t.Parallel()
	for _, h := range []string{"", " ", "http://x", "*.x", "a b", "x/y", "user@x", "10.0.0.0/99"} {
		if _, err := New(Config{AllowHosts: []string{h}}); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%q: %v", h, err)
		}
	}
}

func TestAProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	c := newCanary(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+c.port)
	t.Setenv("http_proxy", "http://127.0.0.1:"+c.port)
	host, url := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "direct") }) //nolint:errcheck // test
	e := newClient(t, Config{AllowHosts: []string{host}})
	if got, err := read(t, e, url); err != nil || got != "direct" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestErrorsNameTheHostButNoSecrets(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close() //nolint:errcheck,gosec // the port must be free
	e := newClient(t, Config{AllowHosts: []string{closed}})
	_, err = read(t, e, "http://"+closed+"/path?token=hush")
	if core.CodeOf(err) != core.CodeUnavailable || core.MessageOf(err) != "127.0.0.1 cannot be reached: the connection was refused" {
		t.Errorf("got %s: %s", core.CodeOf(err), core.MessageOf(err))
	}
}
