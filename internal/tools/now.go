package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	// The names of time zones, for machines and images that come without them.
	_ "time/tzdata"

	"github.com/sutazai/sutazai/core"
)

// now tells the date and time of the given clock.
func now(clock func() time.Time) Tool {
	type args struct {
		Timezone string `json:"timezone"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "now",
			Description: "Tell the current date, weekday and time.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"timezone":{"type":"string","maxLength":64,"description":"IANA name such as Europe/Berlin; left out, UTC."}},` +
				`"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
		},
		call: func(_ context.Context, _ core.ToolInvocation, a args) (string, error) {
			name := strings.TrimSpace(a.Timezone)
			if name == "" {
				name = "UTC"
			}
			// "Local" would tell where the server stands; LoadLocation itself refuses names with "..".
			zone, err := time.LoadLocation(name)
			if err != nil || strings.EqualFold(name, "local") {
				return "", core.Errorf(core.CodeInvalid, "there is no time zone %q; write an IANA name such as Europe/Berlin, America/New_York or UTC", clip(name, 64))
			}
			t := clock().In(zone)
			return fmt.Sprintf("%s, %s (%s)", t.Weekday(), t.Format(time.RFC3339), name), nil
		},
	}
}
