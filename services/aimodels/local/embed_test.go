package local

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

// pair is a key of a GGUF file with the type and the bytes of its value.
type pair struct {
	key   string
	kind  uint32
	value any
}

// gguf makes the beginning of a model file.
func gguf(version uint32, pairs ...pair) string {
	var b bytes.Buffer
	put := func(v any) {
		if text, ok := v.(string); ok {
			_ = binary.Write(&b, binary.LittleEndian, uint64(len(text)))
			b.WriteString(text)
			return
		}
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("GGUF")
	put(version)
	put(uint64(0))
	put(uint64(len(pairs)))
	for _, p := range pairs {
		put(p.key)
		put(p.kind)
		if list, ok := p.value.([]any); ok {
			for _, v := range list {
				put(v)
			}
			continue
		}
		put(p.value)
	}
	return b.String()
}

// bert begins as the files of embedding models do.
func bert(pooling uint32) string {
	return gguf(3,
		pair{"general.architecture", typeText, "bert"},
		pair{"general.tags", typeList, []any{uint32(typeText), uint64(2), "a", "feature-extraction"}},
		pair{"bert.sizes", typeList, []any{uint32(4), uint64(2), uint32(1), uint32(2)}},
		pair{"bert.attention.causal", 7, uint8(0)},
		pair{"bert.eps", 12, float64(1e-12)},
		pair{"bert.pooling_type", 4, pooling},
		pair{"tokenizer.ggml.model", typeText, "bert"})
}

func TestAModelIsMadeForEmbeddingsWhereItsFileNamesAPooling(t *testing.T) {
	t.Parallel()
	mean := bert(1)
	for name, c := range map[string]struct {
		file string
		want bool
	}{
		"mean pooling":             {mean, true},
		"pooling of the kind none": {bert(0), false},
		"a chat model": {gguf(3, pair{"general.architecture", typeText, "llama"}, pair{"tokenizer.ggml.model", typeText, "gpt2"},
			pair{"llama.pooling_type", 4, uint32(1)}), false},
		"a version before 2":     {strings.Replace(mean, "GGUF\x03", "GGUF\x01", 1), false},
		"cut off":                {mean[:60], false},
		"no pairs":               {gguf(3), false},
		"another file":           {"<html>", false},
		"a type that is unknown": {gguf(3, pair{"a", 99, uint32(0)}, pair{"x.pooling_type", 4, uint32(1)}), false},
		"a length without end":   {gguf(3, pair{"a", typeText, uint64(1 << 62)}, pair{"x.pooling_type", 4, uint32(1)}), false},
		"a list without end":     {gguf(3, pair{"a", typeList, []any{uint32(4), uint64(1 << 62)}}), false},
	} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := pools(path); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
	if pools(filepath.Join(t.TempDir(), "none.gguf")) {
		t.Error("a file that is not there")
	}
}

func TestEmbeddingsAreOnWhereChatsDoNotSuffer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chat, vectors := filepath.Join(dir, "chat.gguf"), filepath.Join(dir, "vectors.gguf")
	for path, content := range map[string]string{chat: "GGUF...", vectors: bert(2)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		kind, model string
		context     int
		want        embedding
	}{
		{XLlamaCpp, chat, 8192, embedding{On: true, Pooling: "mean"}},
		{LlamaServer, chat, 8192, embedding{}},
		{LlamaServer, vectors, 8192, embedding{On: true, Batch: embedBatch}},
		{XLlamaCpp, vectors, 512, embedding{On: true, Batch: 512}},
	} {
		if got := (Config{Context: c.context}).embedding(c.kind, c.model); got != c.want {
			t.Errorf("%s %s: got %+v, want %+v", c.kind, c.model, got, c.want)
		}
	}
}

func TestEmbedAsksTheServerThatRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "vectors.gguf", bert(1))
	program(t, b.programs, "llama-server", "llama-server")
	var r aimodels.Embedder = b.start(t)
	for _, model := range []string{"default", "vectors"} {
		got, err := r.Embed(t.Context(), core.EmbedRequest{Model: model, Inputs: []string{"a cat", "a dog"}})
		want := [][]float32{aimodelstest.Vector("a cat", aimodelstest.VectorSize), aimodelstest.Vector("a dog", aimodelstest.VectorSize)}
		if err != nil || !reflect.DeepEqual(got.Vectors, want) || got.Usage.InputTokens != 4 {
			t.Errorf("%s: got %+v, %v", model, got, err)
		}
	}
	if _, err := r.Embed(t.Context(), core.EmbedRequest{Model: "other", Inputs: []string{"x"}}); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("a model that is not there: %v", err)
	}
}

func TestAServerWithoutEmbeddingsIsAFinalErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "chat.gguf", "GGUF...")
	program(t, b.programs, "llama-server", "llama-server")
	r := b.start(t)
	_, err := r.Embed(t.Context(), core.EmbedRequest{Model: "default", Inputs: []string{"x"}})
	if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "LLAMA_ARG_EMBEDDINGS=1") {
		t.Errorf("got %v", err)
	}
	if text, err := say(t, r, "default", "hi"); err != nil || text == "" {
		t.Errorf("chats: got %q, %v", text, err)
	}
}

func TestATextThatIsTooLongIsTheCallersFaultAndNotTheServers(t *testing.T) {
	t.Parallel()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"error":{"code":500,"message":"input (1201 tokens) is too large to process. increase the physical batch size (current batch size: 512)","type":"server_error"}}`))
	}))
	t.Cleanup(h.Close)
	p, err := openaicompat.New(openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "local", BaseURL: h.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	_, err = p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{"long"}})
	err = (&backend{kind: XLlamaCpp}).explainEmbed(err)
	if core.CodeOf(err) != core.CodeContextFull || !strings.Contains(core.MessageOf(err), "1201 tokens") {
		t.Errorf("got %v", err)
	}
}
