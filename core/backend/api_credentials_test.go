package backend_test

import (
	"strings"
	"testing"
)

func TestCredentialsGoInAndNeverComeOut(t *testing.T) {
	t.Parallel()
	const canary = "sk-canary-0123456789"
	b := setup(t)
	never := []string{canary}
	b.check(t, []scenario{
		{name: "add", method: "POST", url: "/api/v1/credentials", key: "admin", status: 201, body: `{"provider":"cloud","name":"ci","secret":"` + canary + `"}`,
			has: []string{`"id":"c1"`, `"provider":"cloud"`, `"name":"ci"`, `"created_by":"key:`, `"disabled_at":null`}, hasNot: never},
		{name: "a provider that the settings do not name", method: "POST", url: "/api/v1/credentials", key: "admin", status: 422, body: `{"provider":"other","secret":"` + canary + `"}`,
			has: []string{`"field":"provider"`}, hasNot: never},
		{name: "an address", method: "POST", url: "/api/v1/credentials", key: "admin", status: 422, body: `{"provider":"cloud","base_url":"https://evil.example","secret":"` + canary + `"}`,
			has: []string{"base_url"}, hasNot: never},
		{name: "no key", method: "POST", url: "/api/v1/credentials", key: "admin", status: 422, body: `{"provider":"cloud"}`, has: []string{`"field":"secret"`}},
		{name: "a key in a list", method: "POST", url: "/api/v1/credentials", key: "admin", status: 422, body: `{"provider":"cloud","secret":["` + canary + `"]}`, hasNot: never},
		{name: "a key that is too long", method: "POST", url: "/api/v1/credentials", key: "admin", status: 422, body: `{"provider":"cloud","secret":"` + strings.Repeat(canary, 1000) + `"}`, hasNot: never},
		{name: "broken JSON", method: "POST", url: "/api/v1/credentials", key: "admin", status: 400, body: `{"provider":"cloud","secret":"` + canary, hasNot: never},
		{name: "list", url: "/api/v1/credentials", key: "admin", status: 200, has: []string{`"items":[{"id":"c1"`, `"hint":"wxyz"`}, hasNot: []string{"sealed", "secret"}},
		{name: "remove", method: "DELETE", url: "/api/v1/credentials/c1", key: "admin", status: 200},
		{name: "remove none", method: "DELETE", url: "/api/v1/credentials/c2", key: "admin", status: 404},
		{name: "rotate", method: "POST", url: "/api/v1/credentials/rotate-master", key: "admin", status: 200, has: []string{`{"credentials":1}`}},
		{name: "only administrators", method: "POST", url: "/api/v1/credentials", key: "run", status: 403, body: `{"provider":"cloud","secret":"` + canary + `"}`, hasNot: never},
		{name: "the audit log", url: "/api/v1/audit", key: "admin", status: 200, has: []string{`"credential.add"`}, hasNot: never},
		{name: "the description", url: "/api/openapi.json", status: 200, has: []string{`"writeOnly":true`}},
	})
	if strings.Contains(b.log.String(), canary) {
		t.Error("the log holds the key")
	}
	for _, want := range []string{"credential.add ok", "credential.add error", "credential.remove ok", "credential.remove error", "credential.rotate_master ok"} {
		if !strings.Contains(strings.Join(b.audit.actions(), "\n"), want) {
			t.Errorf("%q was not audited: %v", want, b.audit.actions())
		}
	}
}
