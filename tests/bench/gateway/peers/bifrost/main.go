// Command bifrost is a small HTTP server around Bifrost's core, so that it can be measured beside SutazAI: it decodes a
// chat completion, hands it to the core and encodes what comes back, as Bifrost's own server does with the same HTTP and
// JSON libraries. It has no part in SutazAI and is a module of its own, so that its dependencies stay out of SutazAI's.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	bifrost "github.com/maximhq/bifrost/core"
	"github.com/maximhq/bifrost/core/providers/openai"
	"github.com/maximhq/bifrost/core/schemas"
)

type account struct{ upstream string }

func (a account) GetConfiguredProviders() ([]schemas.ModelProvider, error) {
	return []schemas.ModelProvider{schemas.OpenAI}, nil
}

func (a account) GetKeysForProvider(context.Context, schemas.ModelProvider) ([]schemas.Key, error) {
	return []schemas.Key{{ID: "one", Name: "one", Value: *schemas.NewSecretVar("upstream-key"), Models: schemas.WhiteList{"*"}, Weight: 1}}, nil
}

func (a account) GetConfigForProvider(schemas.ModelProvider) (*schemas.ProviderConfig, error) {
	network := schemas.DefaultNetworkConfig
	network.BaseURL, network.AllowPrivateNetwork = a.upstream, true
	return &schemas.ProviderConfig{NetworkConfig: network, ConcurrencyAndBufferSize: schemas.DefaultConcurrencyAndBufferSize}, nil
}

func main() {
	if err := serve(os.Getenv("UPSTREAM")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(upstream string) error {
	client, err := bifrost.Init(context.Background(), schemas.BifrostConfig{
		Account: account{upstream}, Logger: bifrost.NewDefaultLogger(schemas.LogLevelError), InitialPoolSize: 300,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("serves http://" + l.Addr().String())
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { chat(client, w, r) })}
	return server.Serve(l)
}

func chat(client *bifrost.Bifrost, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := schemas.NewBifrostContextWithCancel(r.Context())
	defer cancel()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in openai.OpenAIChatRequest
	if err := schemas.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req := in.ToBifrostChatRequest(ctx)
	req.Provider = schemas.OpenAI
	if in.Stream != nil && *in.Stream {
		stream(client, ctx, w, req)
		return
	}
	answer, failure := client.ChatCompletionRequest(ctx, req)
	if failure != nil {
		fail(w, failure)
		return
	}
	b, err := schemas.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b)
}

func stream(client *bifrost.Bifrost, ctx *schemas.BifrostContext, w http.ResponseWriter, req *schemas.BifrostChatRequest) {
	chunks, failure := client.ChatCompletionStreamRequest(ctx, req)
	if failure != nil {
		fail(w, failure)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	for chunk := range chunks {
		b, err := schemas.Marshal(chunk)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "data: %s\n\n", b)
		if flush.Flush() != nil {
			return
		}
	}
	io.WriteString(w, "data: [DONE]\n\n")
}

func fail(w http.ResponseWriter, failure *schemas.BifrostError) {
	b, err := schemas.Marshal(failure)
	if err != nil {
		b = []byte(err.Error())
	}
	http.Error(w, string(b), http.StatusBadGateway)
}
