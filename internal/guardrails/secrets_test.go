package guardrails

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func allSecrets(t testing.TB, without ...string) *secrets {
	t.Helper()
	rules, err := readRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules.without(without)
}

// mixed is characters that look random to every rule.
const mixed = "aB3dE9fGh1JkLm5NpQr7StUv2WxYz4AcDe6FgHi8KlMn0PqRs1TuVw3XyZa5BcDf7GhJk9LmNp2QrSt4UvWx6YzAb8CdEf0GhJk1LmNp3QrSt5Uv"

const hexes = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestSecretsOfManyKindsAreFound(t *testing.T) {
	t.Parallel()
	d := allSecrets(t)
	pem := "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat(mixed[:64]+"\n", 6) + "-----END RSA PRIVATE KEY-----"
	for _, c := range []struct{ text, secret, kind string }{
		{"use AKIA" + "Q3EGRT7XYZ2LMNOP here", "AKIA" + "Q3EGRT7XYZ2LMNOP", "aws-access-token"},
		{"export GH=ghp_" + mixed[:36], "ghp_" + mixed[:36], "github-pat"},
		{"github_pat_" + mixed[:82], "github_pat_" + mixed[:82], "github-fine-grained-pat"},
		{"glpat-" + mixed[:20], "glpat-" + mixed[:20], "gitlab-pat"},
		{"xoxb-1234567890-1234567890123-" + mixed[:24], "xoxb-1234567890-1234567890123-" + mixed[:24], "slack-bot-token"},
		{"post to https://hooks.slack.com/services/T00000000/B00000000/" + mixed[:24], "hooks.slack.com/services/T00000000/B00000000/" + mixed[:24], "slack-webhook-url"},
		{"sk_live_" + mixed[:24], "sk_live_" + mixed[:24], "stripe-access-token"},
		{"sk-proj-" + mixed[:74] + "T3BlbkFJ" + mixed[:74], "sk-proj-" + mixed[:74] + "T3BlbkFJ" + mixed[:74], "openai-api-key"},
		{"sk-ant-api03-" + mixed[:93] + "AA", "sk-ant-api03-" + mixed[:93] + "AA", "anthropic-api-key"},
		{"sk-ant-oat01-" + mixed[:95], "sk-ant-oat01-" + mixed[:95], "anthropic-oauth-token"},
		{"AIza" + mixed[:35], "AIza" + mixed[:35], "gcp-api-key"},
		{"npm_" + mixed[:36], "npm_" + mixed[:36], "npm-access-token"},
		{"pypi-AgEIcHlwaS5vcmc" + mixed[:70], "pypi-AgEIcHlwaS5vcmc" + mixed[:70], "pypi-upload-token"},
		{"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", "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", "huggingface-access-token"},
		{"the pair: 'aB38Q~" + mixed[10:44] + "' yes", "aB38Q~" + mixed[10:44], "azure-ad-client-secret"},
		{"AccountKey=" + mixed[:86] + "==;", mixed[:86] + "==", "azure-storage-account-key"},
		{"a key:\n" + pem + "\nthat is it", pem, "private-key"},
		{"Authorization: Bearer " + mixed[:40], mixed[:40], "authorization-header"},
		{`{"authorization": "Basic ` + mixed[:24] + `="}`, mixed[:24] + "=", "authorization-header"},
		{"curl -u admin:s3cr3tPassw0rd https://x.example", "admin:s3cr3tPassw0rd", "curl-auth-user"},
		{"postgres://app:S3cr3t-pw@db.example/app", "S3cr3t-pw", "database-url-password"},
		{"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U ok",
			"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "jwt"},
		{"api_key = \"" + mixed[:32] + "\"", mixed[:32], "generic-api-key"},
		{"my_db_password: " + mixed[:20] + "\n", mixed[:20], "generic-api-key"},
		{"cloudflare_api_key=" + hexes[:40], hexes[:40], "cloudflare-api-key"},
		{"dop_v1_" + hexes[:64], "dop_v1_" + hexes[:64], "digitalocean-pat"},
		{"sk-sutazai-" + mixed[:43], "sk-sutazai-" + mixed[:43], "sutazai-api-key"},
		{"gsk_" + mixed[:52], "gsk_" + mixed[:52], "groq-api-key"},
		{"sk-or-v1-" + hexes, "sk-or-v1-" + hexes, "openrouter-api-key"},
		{"sk-" + hexes[:32], "sk-" + hexes[:32], "deepseek-api-key"},
		{mixed[:6] + "_" + mixed[6:35] + "_mmk", mixed[:6] + "_" + mixed[6:35] + "_mmk", "maxmind-license-key"},
		{strings.ToLower(mixed[:14]) + ".atlasv1." + mixed[:64], strings.ToLower(mixed[:14]) + ".atlasv1." + mixed[:64], "hashicorp-tf-api-token"},
		{"https://deadbeef:cafef00d@gems.contribsys.com/", "deadbeef:cafef00d", "sidekiq-sensitive-url"},
		{"sonar_login = " + mixed[:40], mixed[:40], "sonar-api-token"},
	} {
		spans, _ := d.scan(c.text, 0, true)
		spans = merge(spans)
		if len(spans) != 1 || c.text[spans[0].start:spans[0].end] != c.secret || spans[0].kind != "secret:"+c.kind {
			var got []string
			for _, s := range spans {
				got = append(got, s.kind+" "+c.text[s.start:s.end])
			}
			t.Errorf("in %q:\n found %q\n want secret:%s %q", c.text, got, c.kind, c.secret)
		}
	}
}

func TestWhatOnlyLooksLikeASecretIsNotFound(t *testing.T) {
	t.Parallel()
	d := allSecrets(t)
	for _, text := range []string{
		"", "k", "The key to success, as the author says: authentication matters.", "the api key is in the vault",
		"password: changeme", "api_key = \"your-api-key-here\"", "token = ${TOKEN}", "secret: {{ .Values.secret }}",
		"AKIAIOSFODNN7EXAMPLE", // the one in the vendor's manual
		"ghp_000000000000000000000000000000000000", "xghp_short", "sk-ant-api03-short",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "curl -v https://x.example", "curl -u user: https://x",
		"commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "public_key = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
		"postgres://app:${DB_PASSWORD}@db.example/app", "task-9f86d081884c7d659a2feaa0c55ad015x",
		"Authorization: Bearer <token>", "they eyeball it", "mask sky desk skill", "a.b.c s.t. e.g.",
		"primary_key_id=123456789012", "keyboard = qwertyuiop1234", "/usr/local/lib/token=/usr/bin/env",
	} {
		checkFound(t, d, text)
	}
}

func TestARuleThatIsLeftOutFindsNothing(t *testing.T) {
	t.Parallel()
	text := "api_key = \"" + mixed[:32] + "\""
	checkFound(t, allSecrets(t), text, mixed[:32])
	checkFound(t, allSecrets(t, genericRule), text)
	rules, _ := readRules()
	checkFound(t, rules.without(rules.names()), text)
}

func TestEveryRuleFindsWhatItsExpressionDescribes(t *testing.T) {
	t.Parallel()
	d := allSecrets(t)
	for _, r := range d.rules {
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			for _, w := range r.Keywords {
				if len(w)+r.Back+1 > maxTail || w != strings.ToLower(w) || strings.ContainsAny(w, " \t\n") {
					t.Errorf("the keyword %q is too long, in upper case, or has white space in it", w)
				}
			}
			if r.window >= largestSecret && !strings.ContainsAny(r.Regex, "*+") && !strings.Contains(r.Regex, ",}") {
				t.Errorf("the window is %d although the expression is bounded", r.window)
			}
			if r.open() == nil {
				t.Error("no expression says where a text may be the beginning of a match")
			}
			example := rapid.StringMatching(r.Regex)
			tried, hits := 0, 0
			for seed := range 60 {
				text := example.Example(seed)
				loc := r.match().FindStringSubmatchIndex(text)
				hasWord := slices.ContainsFunc(r.Keywords, func(w string) bool { return strings.Contains(strings.ToLower(text), w) })
				if loc == nil || len(text) > r.window || !hasWord { // a dot in an expression may be any character
					continue
				}
				tried++
				from, to := r.secretIn(loc)
				spans, _ := d.scan(text, 0, true)
				// Entropy and allow lists may take it away; what is found must be by this rule, or cover the same.
				if slices.ContainsFunc(spans, func(s span) bool { return s.start <= from && s.end >= to }) {
					hits++
				}
			}
			if tried > 0 && hits == 0 {
				t.Errorf("of %d texts that the expression describes, none was found", tried)
			}
		})
	}
}

func TestRulesKeepTheirPromises(t *testing.T) {
	t.Parallel()
	rules, err := readRules()
	if err != nil {
		t.Fatal(err)
	}
	if len(rules.rules) < 200 {
		t.Errorf("there are only %d rules", len(rules.rules))
	}
	for _, lists := range append([]*rule{}, rules.rules...) {
		lists.allow() // must compile
	}
	rules.allow()
	if got := entropy("aabb"); got != 1 {
		t.Errorf("the entropy of aabb is %v bits a byte, want 1", got)
	}
}

func TestLinesOfAllowListsAreLookedAt(t *testing.T) {
	t.Parallel()
	l := allowList{target: "line", regexes: []*regexp.Regexp{regexp.MustCompile(`--mount=type=secret,`)}}
	if !l.covers("abc", "abc", "RUN --mount=type=secret,id=x") || l.covers("abc", "abc", "RUN") {
		t.Error("the line decides")
	}
}
