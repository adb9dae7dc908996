package sdk

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

const (
	openaiSuite    = "openai-go"
	openaiAnswers  = "../../core/backend/responses/testdata/answers"
	openaiRequests = "../../services/aimodels/responses/testdata/requests"
)

// openaiClient returns a client of a server that answers everything with a file.
func openaiClient(t *testing.T, file string) openai.Client {
	t.Helper()
	return openai.NewClient(option.WithBaseURL(serve(t, file)), option.WithAPIKey("k"), option.WithMaxRetries(0))
}

// openaiStream returns the events of a stream, each of a kind that the client knows and with its number.
func openaiStream(t *testing.T, file string) []responses.ResponseStreamEventUnion {
	t.Helper()
	c := openaiClient(t, file)
	events := c.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{Model: "m"})
	var out []responses.ResponseStreamEventUnion
	for events.Next() {
		e := events.Current()
		if e.AsAny() == nil {
			t.Errorf("the client does not know the event %q", e.Type)
		}
		if int(e.SequenceNumber) != len(out) {
			t.Errorf("event %d, %s, has number %d", len(out), e.Type, e.SequenceNumber)
		}
		out = append(out, e)
	}
	if err := events.Err(); err != nil || len(out) == 0 {
		t.Fatalf("%d events: %v", len(out), err)
	}
	return out
}

// ours are fields that the Open Responses specification requires and OpenAI's client has no name for.
func ours() []string {
	return []string{"presence_penalty", "frequency_penalty", "store", "max_tool_calls"}
}

func TestOpenAIAnswersAreReadWholeAndStreamed(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, openaiAnswers+"/*.json") {
		check(t, openaiSuite, filepath.Base(file), func(t *testing.T) {
			c := openaiClient(t, file)
			whole, err := c.Responses.New(t.Context(), responses.ResponseNewParams{Model: "m"})
			if err != nil {
				t.Fatal(err)
			}
			events := openaiStream(t, strings.TrimSuffix(file, ".json")+".sse")
			last := events[len(events)-1].Response
			for name, r := range map[string]*responses.Response{"whole": whole, "streamed": &last} {
				if r.ID == "" || r.Model != "local/tiny" || r.Status == "" || r.Usage.OutputTokens != 5 || r.Usage.InputTokensDetails.CachedTokens != 4 {
					t.Errorf("%s: %+v", name, r)
				}
				for field := range r.JSON.ExtraFields {
					if !slices.Contains(ours(), field) {
						t.Errorf("%s: the client does not know the field %s", name, field)
					}
				}
				for i, item := range r.Output {
					if item.AsAny() == nil {
						t.Errorf("%s: the client does not know the item %d, %s", name, i, item.Type)
					}
				}
			}
			if whole.Status != last.Status || whole.OutputText() != last.OutputText() || whole.IncompleteDetails.Reason != last.IncompleteDetails.Reason {
				t.Errorf("whole %s %q\nstreamed %s %q", whole.Status, whole.OutputText(), last.Status, last.OutputText())
			}
			checkPieces(t, events, last)
		})
	}
}

// checkPieces holds that what came in pieces is what the complete response says, item by item.
func checkPieces(t *testing.T, events []responses.ResponseStreamEventUnion, last responses.Response) {
	t.Helper()
	text, arguments, added, done := "", map[string]string{}, 0, 0
	for _, e := range events {
		switch v := e.AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			text += v.Delta
		case responses.ResponseFunctionCallArgumentsDeltaEvent:
			arguments[v.ItemID] += v.Delta
		case responses.ResponseOutputItemAddedEvent:
			if int(v.OutputIndex) != added {
				t.Errorf("item %d is added at %d", added, v.OutputIndex)
			}
			added++
		case responses.ResponseOutputItemDoneEvent:
			if v.Item.ID != last.Output[v.OutputIndex].ID {
				t.Errorf("item %d is %s at its end and %s in the response", v.OutputIndex, v.Item.ID, last.Output[v.OutputIndex].ID)
			}
			done++
		}
	}
	if text != last.OutputText() || added != len(last.Output) || done != added {
		t.Errorf("pieces %q, whole %q; %d items added, %d done, %d in the response", text, last.OutputText(), added, done, len(last.Output))
	}
	for _, item := range last.Output {
		if call, ok := item.AsAny().(responses.ResponseFunctionToolCall); ok && arguments[call.ID] != call.Arguments {
			t.Errorf("pieces %q, whole %q", arguments[call.ID], call.Arguments)
		}
	}
}

func TestOpenAIFailuresAreRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"failed_translated", "failed_restart"} {
		check(t, openaiSuite, name, func(t *testing.T) {
			events := openaiStream(t, filepath.Join(openaiAnswers, name+".sse"))
			last := events[len(events)-1]
			if last.Type != "response.failed" || last.Response.Status != "failed" || last.Response.Error.Message == "" || last.Response.Error.Code != "server_error" {
				t.Errorf("%+v", last)
			}
		})
	}
	check(t, openaiSuite, "failed_raw", func(t *testing.T) {
		c := openaiClient(t, filepath.Join(openaiAnswers, "failed_raw.sse"))
		events := c.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{Model: "m"})
		var last responses.ResponseStreamEventUnion
		for events.Next() {
			last = events.Current()
		}
		if e, ok := last.AsAny().(responses.ResponseErrorEvent); !ok || e.Message == "" || e.Code != "server_error" || e.SequenceNumber != 1 {
			t.Errorf("%+v, %v", last, events.Err())
		}
	})
}

func TestOpenAIRequestsAreWhatTheClientWouldSend(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, openaiRequests+"/*.json") {
		check(t, openaiSuite, filepath.Base(file), func(t *testing.T) {
			sent := read(t, file)
			want, got := object(t, sent), rewritten(t, sent, &responses.ResponseNewParams{})
			delete(want, "stream") // the client sets it by the method that is called
			// The client reads a named function as a hosted tool's choice, which has no name.
			if choice, ok := want["tool_choice"].(map[string]any); ok && choice["type"] == "function" {
				delete(choice, "name")
			}
			// The client's type has an id of thoughts that are sent back; servers take them without.
			for _, item := range want["input"].([]any) {
				if item := item.(map[string]any); item["type"] == "reasoning" {
					item["id"] = ""
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}
