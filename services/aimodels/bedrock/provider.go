package bedrock

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Config holds the settings of one region.
type Config struct {
	// HTTP: without BaseURL, AWS's servers of the region. The key is ACCESS_KEY_ID:SECRET or ACCESS_KEY_ID:SECRET:SESSION_TOKEN
	// of an AWS account, which signs every request, or a Bedrock API key, which is sent.
	HTTP   aimodels.HTTPConfig
	Region string // such as eu-central-1; "" = told by the BaseURL
}

// Provider calls one region. Safe for many goroutines.
type Provider struct {
	http    *aimodels.HTTPClient // the server of models
	control *aimodels.HTTPClient // the server that lists them
}

// New checks the settings; it asks the servers nothing.
func New(cfg Config) (*Provider, error) {
	if cfg.Region == "" {
		cfg.Region = regionOf(cfg.HTTP.BaseURL)
	}
	if !regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`).MatchString(cfg.Region) {
		return nil, core.Errorf(core.CodeInvalid, "models.providers.%s.region: %q is no region of AWS; give one such as eu-central-1", cfg.HTTP.Name, cfg.Region)
	}
	models, list := servers(cfg.HTTP.BaseURL, cfg.Region)
	if cfg.HTTP.Keys == nil { // both clients take turns with the same keys
		var keys []core.Secret
		if cfg.HTTP.APIKey != "" {
			keys = append(keys, core.NewSecret(cfg.HTTP.APIKey))
		}
		cfg.HTTP.Keys = aimodels.NewKeyRing(cfg.HTTP.Name, keys, time.Now)
	}
	if cfg.HTTP.Authorize == nil {
		s := &signer{region: cfg.Region, v4: v4.NewSigner(), now: time.Now}
		cfg.HTTP.Authorize, cfg.HTTP.Sign = authorize, s.sign
	}
	headers := map[string]string{"Accept": "application/vnd.amazon.eventstream, application/json"}
	maps.Copy(headers, cfg.HTTP.Headers)
	cfg.HTTP.Headers = headers
	cfg.HTTP.BaseURL = models
	c, err := aimodels.NewHTTPClient(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	cfg.HTTP.BaseURL = list
	control, err := aimodels.NewHTTPClient(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	return &Provider{http: c, control: control}, nil
}

// regionOf is the region in the name of AWS's servers, "" for others.
func regionOf(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return ""
	}
	labels := strings.Split(u.Hostname(), ".")
	if len(labels) < 4 || !strings.HasPrefix(labels[0], "bedrock") || labels[2] != "amazonaws" {
		return ""
	}
	return labels[1]
}

// servers are the addresses of the server of models and of the one that lists them: AWS's of the region, unless a baseURL
// names another, which is then taken for both.
func servers(baseURL, region string) (models, list string) {
	if baseURL == "" {
		baseURL = "https://bedrock-runtime." + region + ".amazonaws.com"
		if strings.HasPrefix(region, "cn-") {
			baseURL += ".cn"
		}
	}
	return baseURL, strings.Replace(baseURL, "://bedrock-runtime", "://bedrock", 1)
}

// Close drops idle connections.
func (p *Provider) Close() {
	p.http.Close()
	p.control.Close()
}

// maxProfilePages bounds how many pages of inference profiles are asked for; a page has a thousand, the largest there is.
const maxProfilePages = 10

// Models lists the models that can be called by their own name, and the inference profiles, by which others are called.
func (p *Provider) Models(ctx context.Context) ([]core.Model, error) {
	var list struct {
		Models []struct {
			ID       string   `json:"modelId"`
			Outputs  []string `json:"outputModalities"`
			Inferred []string `json:"inferenceTypesSupported"`
		} `json:"modelSummaries"`
	}
	if err := p.control.Get(ctx, "/foundation-models", &list); err != nil {
		return nil, err
	}
	models := []core.Model{}
	for _, m := range list.Models {
		usable := len(m.Outputs) == 0 || slices.Contains(m.Outputs, "TEXT") || slices.Contains(m.Outputs, "EMBEDDING")
		if usable && (len(m.Inferred) == 0 || slices.Contains(m.Inferred, "ON_DEMAND")) {
			models = append(models, core.Model{ID: m.ID})
		}
	}
	next := ""
	for range maxProfilePages {
		var page struct {
			Profiles []struct {
				ID string `json:"inferenceProfileId"`
			} `json:"inferenceProfileSummaries"`
			Next string `json:"nextToken"`
		}
		path := "/inference-profiles?maxResults=1000"
		if next != "" {
			path += "&nextToken=" + url.QueryEscape(next)
		}
		if err := p.control.Get(ctx, path, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Profiles {
			models = append(models, core.Model{ID: m.ID})
		}
		if next = page.Next; next == "" {
			break
		}
	}
	return models, nil
}

// address is where a model does what is asked of it. All but letters, digits and -_~. is escaped, as AWS does when it
// checks a signature; a step of dots would leave the folder.
func address(model, operation string) string {
	step := strings.ReplaceAll(url.QueryEscape(model), "+", "%20")
	if strings.Trim(step, ".") == "" {
		step = strings.ReplaceAll(step, ".", "%2E")
	}
	return "/model/" + step + "/" + operation
}

// Chat makes one call. It always asks for a stream, so that a server that stops in mid answer is noticed; a server that
// answers with one JSON object all the same is understood.
func (p *Provider) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	in, err := newRequest(req)
	if err != nil {
		return core.ModelResponse{}, &aimodels.CallError{Err: err}
	}
	body, openErr := p.http.Post(ctx, address(req.Model, "converse-stream"), in)
	if openErr != nil {
		return core.ModelResponse{}, openErr
	}
	defer body.Close()
	a := answer{p: p, onDelta: onDelta, form: in.form, oneTool: req.OneTool, maker: familyOf(req.Model).maker()}
	var readErr error
	if strings.HasPrefix(body.ContentType, "application/json") {
		readErr = a.whole(body)
	} else {
		readErr = a.stream(body)
	}
	if readErr != nil {
		if _, ok := errors.AsType[*aimodels.CallError](readErr); !ok {
			readErr = body.Explain(readErr)
		}
		return core.ModelResponse{}, readErr
	}
	return a.response()
}
