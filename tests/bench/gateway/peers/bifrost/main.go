// Command bifrost is a small HTTP server around Bifrost's core, so that it can be measured beside SutazAI: it decodes a
// chat completion, hands it to the core and encodes what comes back, as Bifrost's own server does with the same HTTP and
// JSON libraries. It has no part in SutazAI and is a module of its own, so that its dependencies stay out of SutazAI's.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"

	bifrost "github.com/maximhq/bifrost/core"
	"github.com/maximhq/bifrost/core/providers/openai"
	"github.com/maximhq/bifrost/core/schemas"
	"github.com/valyala/fasthttp"
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
	server := &fasthttp.Server{MaxRequestBodySize: 32 << 20, Handler: func(rc *fasthttp.RequestCtx) { chat(client, rc) }}
	return server.Serve(l)
}

func chat(client *bifrost.Bifrost, rc *fasthttp.RequestCtx) {
	ctx, cancel := schemas.NewBifrostContextWithCancel(context.Background())
	var in openai.OpenAIChatRequest
	if err := schemas.Unmarshal(rc.PostBody(), &in); err != nil {
		cancel()
		rc.Error(err.Error(), fasthttp.StatusBadRequest)
		return
	}
	req := in.ToBifrostChatRequest(ctx)
	req.Provider = schemas.OpenAI
	if in.Stream == nil || !*in.Stream {
		defer cancel()
		answer, failure := client.ChatCompletionRequest(ctx, req)
		if failure != nil {
			fail(rc, failure)
			return
		}
		b, err := schemas.Marshal(answer)
		if err != nil {
			rc.Error(err.Error(), fasthttp.StatusInternalServerError)
			return
		}
		rc.SetContentType("application/json")
		rc.SetBody(b)
		return
	}
	chunks, failure := client.ChatCompletionStreamRequest(ctx, req)
	if failure != nil {
		cancel()
		fail(rc, failure)
		return
	}
	rc.SetContentType("text/event-stream")
	rc.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer cancel()
		for chunk := range chunks {
			b, err := schemas.Marshal(chunk)
			if err != nil {
				return
			}
			w.WriteString("data: ")
			w.Write(b)
			w.WriteString("\n\n")
			if w.Flush() != nil {
				return
			}
		}
		w.WriteString("data: [DONE]\n\n")
		w.Flush()
	})
}

func fail(rc *fasthttp.RequestCtx, failure *schemas.BifrostError) {
	b, err := schemas.Marshal(failure)
	if err != nil {
		b = []byte(err.Error())
	}
	rc.Error(string(b), fasthttp.StatusBadGateway)
}
