package a2acheck_test

import (
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

func TestAWrongMessageIsToldByItsField(t *testing.T) {
	t.Parallel()
	c := a2acheck.New()
	const message = `"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}]}`
	for name, tc := range map[string]struct {
		version    a2acheck.Version
		form, raw  string
		field, say string // "" = nothing is wrong
	}{
		"a message":                  {a2acheck.V10, "SendMessage", `{` + message + `}`, "", ""},
		"no message":                 {a2acheck.V10, "SendMessage", `{}`, "params", "message"},
		"a part of no kind":          {a2acheck.V10, "SendMessage", `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{}]}}`, "params.message.parts.0", "text"},
		"a part of two kinds":        {a2acheck.V10, "SendMessage", `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"a","data":1}]}}`, "params.message.parts.0", "oneOf"},
		"a text that is a number":    {a2acheck.V10, "SendMessage", `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":1}]}}`, "params.message.parts.0.text", "string"},
		"no id":                      {a2acheck.V10, "SendMessage", `{"message":{"role":"ROLE_USER","parts":[{"text":"a"}]}}`, "params.message", "messageId"},
		"a role of the old version":  {a2acheck.V10, "SendMessage", `{"message":{"messageId":"m","role":"user","parts":[{"text":"a"}]}}`, "params.message.role", "ROLE_USER"},
		"bytes that are not base64":  {a2acheck.V10, "SendMessage", `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"raw":"%%"}]}}`, "params.message.parts.0.raw", "base64"},
		"a huge number":              {a2acheck.V10, "GetTask", `{"id":"x","historyLength":1e30}`, "params.historyLength", "maximum"},
		"a name in other letters":    {a2acheck.V10, "SendMessage", `{` + message + `,"Metadata":3}`, "params.Metadata", "metadata"},
		"a number with a point":      {a2acheck.V10, "GetTask", `{"id":"x","historyLength":1.0}`, "params.historyLength", "whole number"},
		"a NUL":                      {a2acheck.V10, "GetTask", `{"id":"x\u0000"}`, "params.id", "NUL"},
		"not JSON":                   {a2acheck.V10, "GetTask", `{"id":`, "params", "not JSON"},
		"two values":                 {a2acheck.V10, "GetTask", `{"id":"x"}{}`, "params", "after byte 10"},
		"nothing":                    {a2acheck.V10, "GetTask", ``, "params", "empty"},
		"too deep":                   {a2acheck.V10, "GetTask", strings.Repeat("[", 101), "", "nested"},
		"a message of 0.3":           {a2acheck.V03, "message/send", `{"message":{"kind":"message","messageId":"m","role":"user","parts":[{"kind":"text","text":"x"}]}}`, "", ""},
		"a part of 0.3 without text": {a2acheck.V03, "message/send", `{"message":{"messageId":"m","role":"user","parts":[{"kind":"text"}]}}`, "params.message.parts.0", "text"},
		"an event of two kinds":      {a2acheck.V10, "Event", `{"task":{"id":"a","status":{"state":"TASK_STATE_WORKING"}},` + message + `}`, "params", "oneOf"},
		"a state that there is not":  {a2acheck.V10, "Task", `{"id":"a","status":{"state":"TASK_STATE_ASLEEP"}}`, "params.status.state", "TASK_STATE_WORKING"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.Check(tc.version, tc.form, "params", []byte(tc.raw))
			if tc.say == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(core.MessageOf(err), tc.say) || !strings.Contains(core.MessageOf(err), tc.field) {
				t.Errorf("said %s: %v; want %q about %q", core.CodeOf(err), err, tc.say, tc.field)
			}
		})
	}
}

func TestAFieldThatIsThereTwiceIsThereOnce(t *testing.T) {
	t.Parallel()
	clean, err := a2acheck.New().Read(a2acheck.V10, "GetTask", "", []byte(`{"id":"a","id":"b","historyLength":3}`))
	if err != nil || string(clean) != `{"historyLength":3,"id":"b"}` {
		t.Errorf("got %s, %v", clean, err)
	}
}
