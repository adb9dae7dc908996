package responses_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// idIn returns the id of the response in a body or the last event of a stream.
func idIn(t *testing.T, body string) string {
	t.Helper()
	i := strings.Index(body, `"id":"resp_`)
	if i < 0 {
		t.Fatalf("no id in %s", body)
	}
	return strings.SplitN(body[i+len(`"id":"`):], `"`, 2)[0]
}

// raw passes a provider's bytes on.
func raw(pieces ...string) func(context.Context, *dialect.Call, dialect.Answer) error {
	return func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
		for _, p := range pieces {
			if err := out.Raw([]byte(p)); err != nil {
				return err
			}
		}
		return nil
	}
}

const upstream = `{"id":"resp_up","object":"response","status":"completed","output":[{"type":"web_search_call","id":"ws"},{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"Bern."}]}]}`

func upstreamEvents() []string {
	return []string{
		"event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
		"event: response.output_text.delta\ndata: {\"delta\":\"Bern.\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":" + upstream + "}\n\n",
	}
}

func TestAConversationGoesOnByTheIDOfItsLastResponse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	call := core.ToolCall{ID: "c1", Name: "look", Arguments: json.RawMessage(`{}`)}
	b.exchange = translated(said("", call))
	first := idIn(t, b.post(t, `{"model":"m","instructions":"Not carried over.","input":"Capital?"}`).Body.String())
	var got core.ModelRequest
	b.exchange = func(_ context.Context, c *dialect.Call, out dialect.Answer) (err error) {
		if !c.Translate {
			t.Error("the call would go on with an id that no provider knows")
		}
		if got, err = c.Decode(c.Body.Bytes); err != nil {
			return err
		}
		return out.Done(said("Paris."))
	}
	second := idIn(t, b.post(t, `{"model":"other","stream":true,"previous_response_id":"`+first+`","input":[{"type":"function_call_output","call_id":"c1","output":"Paris"}]}`).Body.String())
	b.post(t, `{"model":"m","previous_response_id":"`+second+`","instructions":"New.","input":"Thanks"}`)
	if want := "system:New. | user:Capital? | assistant:<c1 look {}> | tool:Parisc1 | assistant:Paris. | user:Thanks"; told(got.Messages) != want {
		t.Errorf("got  %s\nwant %s", told(got.Messages), want)
	}
}

func TestAnotherModelGoesOnFromWhatAProviderAnswered(t *testing.T) {
	t.Parallel()
	for name, exchange := range map[string]func(context.Context, *dialect.Call, dialect.Answer) error{
		"true": raw(upstreamEvents()...), "false": raw(upstream),
	} {
		b := setup(t)
		b.exchange = exchange
		w := b.post(t, `{"model":"up/m","stream":`+name+`,"input":[{"role":"user","content":"Capital of Switzerland?"}]}`)
		if want := map[string]string{"true": strings.Join(upstreamEvents(), ""), "false": upstream}[name]; w.Body.String() != want {
			t.Errorf("the bytes changed: %s", w.Body)
		}
		var got core.ModelRequest
		b.exchange = func(_ context.Context, c *dialect.Call, out dialect.Answer) (err error) {
			if got, err = c.Decode(c.Body.Bytes); err != nil {
				return err
			}
			return out.Done(said("ok"))
		}
		b.post(t, `{"model":"m","previous_response_id":"resp_up","input":"Sure?"}`)
		if want := "user:Capital of Switzerland? | assistant:Bern. | user:Sure?"; told(got.Messages) != want {
			t.Errorf("stream %s: got %s", name, told(got.Messages))
		}
	}
}

func TestAnUnknownIDGoesToTheProviderAndAnothersGoesNowhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exchange = translated(said("secret"))
	id := idIn(t, b.post(t, `{"model":"m","input":"Hi"}`).Body.String())
	gone := idIn(t, b.post(t, `{"model":"m","input":"Hi"}`).Body.String())
	if w := b.as(t, "a", "DELETE", "/v1/responses/"+gone, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"deleted":true`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	reached := false
	b.exchange = func(_ context.Context, c *dialect.Call, _ dialect.Answer) error {
		reached = true
		if c.Translate {
			t.Error("an id that is not known here must go on as it is")
		}
		_, err := c.Decode(c.Body.Bytes) // as for a provider of another dialect
		return err
	}
	for _, c := range []struct {
		key, id string
		reached bool
	}{{"b", id, false}, {"a", gone, false}, {"b", gone, false}, {"b", "resp_elsewhere", true}} {
		reached = false
		w := b.as(t, c.key, "POST", "/v1/responses", `{"model":"m","previous_response_id":"`+c.id+`","input":"?"}`)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"code":"previous_response_not_found"`) || reached != c.reached {
			t.Errorf("%+v: status %d, reached %t: %s", c, w.Code, reached, w.Body)
		}
	}
	for _, url := range []string{"/v1/responses/" + id, "/v1/responses/" + id + "/input_items"} {
		if w := b.as(t, "b", "GET", url, ""); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("another reads %s: %d %s", url, w.Code, w.Body)
		}
	}
	mine := b.as(t, "b", "GET", "/v1/responses/"+id, "").Body.String()
	nobodys := b.as(t, "b", "GET", "/v1/responses/resp_elsewhere", "").Body.String()
	if strings.ReplaceAll(mine, id, "") != strings.ReplaceAll(nobodys, "resp_elsewhere", "") {
		t.Errorf("another learns that it is there: %s, %s", mine, nobodys)
	}
	for method, url := range map[string]string{"DELETE": "/v1/responses/" + id, "POST": "/v1/responses/" + id + "/cancel"} {
		if w := b.as(t, "b", method, url, ""); w.Code != http.StatusNotFound {
			t.Errorf("another may %s: %d %s", method, w.Code, w.Body)
		}
	}
}

func TestAStoredResponseIsReadAsItWasAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exchange = translated(said("Hello <b>"))
	answer := b.post(t, `{"model":"m","input":"Hi"}`).Body.String()
	id := idIn(t, answer)
	if w := b.as(t, "a", "GET", "/v1/responses/"+id, ""); w.Code != http.StatusOK || w.Body.String() != answer {
		t.Errorf("%d %s, want %s", w.Code, w.Body, answer)
	}
	for url, status := range map[string]int{"/v1/responses/" + id + "?stream=true": 400, "/v1/responses/resp_none": 404} {
		if w := b.as(t, "a", "GET", url, ""); w.Code != status {
			t.Errorf("%s: %d %s", url, w.Code, w.Body)
		}
	}
	if w := b.as(t, "a", "POST", "/v1/responses/"+id+"/cancel", ""); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "background") {
		t.Errorf("cancel: %d %s", w.Code, w.Body)
	}
	b.now = b.now.Add(31 * 24 * time.Hour)
	if w := b.as(t, "a", "GET", "/v1/responses/"+id, ""); w.Code != http.StatusNotFound {
		t.Errorf("after its time: %d %s", w.Code, w.Body)
	}
}

func TestWhatMustNotBeKeptIsNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, exchange := range []func(context.Context, *dialect.Call, dialect.Answer) error{
		translated(said("Hi")), raw(upstream),
	} {
		b.exchange = exchange
		answer := b.post(t, `{"model":"m","input":"Hi","store":false}`).Body.String()
		if w := b.as(t, "a", "GET", "/v1/responses/"+idIn(t, answer), ""); w.Code != http.StatusNotFound {
			t.Errorf("it is kept: %s", w.Body)
		}
	}
}

func TestWhatIsKeptOnlyInPartCannotBeContinuedHere(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"too large":          `{"model":"m","input":"` + strings.Repeat("x", 9<<20) + `"}`,
		"in a conversation":  `{"model":"m","input":"Hi","conversation":"conv_1"}`,
		"behind an unknown":  `{"model":"m","input":"Hi","previous_response_id":"resp_elsewhere"}`,
		"made of a template": `{"model":"m","prompt":{"id":"p"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exchange = raw(upstream)
			if w := b.post(t, body); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			b.exchange = func(_ context.Context, c *dialect.Call, _ dialect.Answer) error {
				if c.Translate {
					t.Error("the provider that made it may go on from it")
				}
				_, err := c.Decode(c.Body.Bytes)
				return err
			}
			w := b.post(t, `{"model":"m","previous_response_id":"resp_up","input":"?"}`)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "is not kept here") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if w := b.as(t, "a", "GET", "/v1/responses/resp_up", ""); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

func TestInputItemsAreListedInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exchange = translated(said("ok"))
	id := idIn(t, b.post(t, `{"model":"m","input":[{"role":"user","content":"1"},{"role":"assistant","content":"2"},{"type":"function_call","id":"mine","call_id":"c","name":"x","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"3"}]}`).Body.String())
	list := func(query string) (ids []string, more bool) {
		w := b.as(t, "a", "GET", "/v1/responses/"+id+"/input_items"+query, "")
		var p struct {
			Object  string
			Data    []struct{ ID, Type string }
			FirstID string `json:"first_id"`
			LastID  string `json:"last_id"`
			HasMore bool   `json:"has_more"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusOK || p.Object != "list" {
			t.Fatalf("%s: %d %s", query, w.Code, w.Body)
		}
		for _, d := range p.Data {
			ids = append(ids, d.ID)
			if d.ID == "" || d.Type == "" {
				t.Errorf("an item without id or type: %s", w.Body)
			}
		}
		if len(ids) > 0 && (p.FirstID != ids[0] || p.LastID != ids[len(ids)-1]) {
			t.Errorf("%s: %s", query, w.Body)
		}
		return ids, p.HasMore
	}
	all, more := list("?order=asc")
	if len(all) != 4 || more || all[2] != "mine" {
		t.Fatalf("got %v", all)
	}
	if ids, more := list("?limit=3"); more != true || ids[0] != all[3] || ids[2] != all[1] {
		t.Errorf("got %v", ids)
	}
	if ids, more := list("?order=asc&limit=2&after=" + all[1]); more || len(ids) != 2 || ids[0] != "mine" {
		t.Errorf("got %v", ids)
	}
	for _, query := range []string{"?limit=0", "?limit=x", "?order=up", "?after=nobody"} {
		if w := b.as(t, "a", "GET", "/v1/responses/"+id+"/input_items"+query, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	items := b.as(t, "a", "GET", "/v1/responses/"+id+"/input_items?order=asc", "").Body.String()
	for _, has := range []string{`"content":[{"type":"input_text","text":"1"}]`, `"content":[{"type":"output_text","annotations":[],"text":"2"}]`} {
		if !strings.Contains(items, has) {
			t.Errorf("%s is missing in %s", has, items)
		}
	}
}
