package app

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/sutazai/sutazai/config"
)

func TestWhatTheHTTPServerTakesFromTheSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		set   []string
		open  bool // metrics without a credential
		proxy []netip.Prefix
	}{
		{name: "alone on loopback", set: []string{"server.listen=127.0.0.1:0"}, open: true},
		{name: "beyond loopback", set: []string{"server.listen=0.0.0.0:0"}},
		{name: "behind a proxy with a public address", set: []string{"server.public_url=https://agents.example.com"}},
		{
			name: "behind proxies", set: []string{"server.trusted_proxies=[127.0.0.1, 10.1.2.3/8, fd00::/8, \"::ffff:192.0.2.1\"]"},
			proxy: []netip.Prefix{
				netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("192.0.2.1/32"),
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Load(config.Options{NoFile: true, Env: []string{"HOME=" + t.TempDir()}, Set: c.set})
			if err != nil {
				t.Fatal(err)
			}
			got := backendConfig("v1", cfg.Server)
			if got.OpenMetrics != c.open {
				t.Errorf("open metrics: %v", got.OpenMetrics)
			}
			if !slices.Equal(got.TrustedProxies, c.proxy) {
				t.Errorf("proxies %v, want %v", got.TrustedProxies, c.proxy)
			}
			if got.Version != "v1" || got.PublicURL != cfg.Server.PublicURL || got.MaxUpload != cfg.Server.MaxBody || got.Timeout != cfg.Server.RequestTimeout {
				t.Errorf("got %+v", got)
			}
		})
	}
}
