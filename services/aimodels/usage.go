package aimodels

import (
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// usage completes what the server reported: tokens that it did not count are estimated, the cost comes from the prices.
func (g *Gateway) usage(t Target, req core.ModelRequest, resp core.ModelResponse) core.Usage {
	u := resp.Usage
	if u.InputTokens <= 0 {
		u.InputTokens = estimateInput(req)
	}
	if u.OutputTokens <= 0 {
		u.OutputTokens = atMost(estimateMessage(resp.Message), req.MaxTokens)
	}
	if u.CostMicroUSD == 0 {
		u.CostMicroUSD = g.cfg.price(t).of(u)
	}
	return u
}

// priced fills in what usage costs at a target, "provider/model".
func (g *Gateway) priced(target string, u core.Usage) core.Usage {
	if t, ok := ParseTarget(target); ok {
		u.CostMicroUSD = g.cfg.price(t).of(u)
	}
	return u
}

// sizeOf bounds the tokens of a request: each is a byte long at least.
func sizeOf(req core.ModelRequest) int64 {
	n := len(req.Schema)
	for _, m := range req.Messages {
		n += len(m.Text)
		for _, p := range m.Parts {
			n += len(p.Text) + len(p.Data) + len(p.URL) + len(p.Signature)
		}
		for _, c := range m.ToolCalls {
			n += len(c.Name) + len(c.Arguments)
		}
	}
	for _, t := range req.Tools {
		n += len(t.Name) + len(t.Description) + len(t.Parameters)
	}
	return int64(n)
}

// EstimateTokens is the gateway's guess where a server counts nothing: a token for every four characters, rounded up.
func EstimateTokens(text string) int64 { return tokensOf(int64(utf8.RuneCountInString(text))) }

func tokensOf(characters int64) int64 { return (characters + 3) / 4 }

// atMost holds an estimate to what the answer may have: a budget has been asked for so much. 0 = that is not bounded.
func atMost(estimate int64, most int) int64 {
	if most > 0 {
		return min(estimate, int64(most))
	}
	return estimate
}

func estimateInput(req core.ModelRequest) int64 {
	var n int64
	for _, m := range req.Messages {
		n += estimateMessage(m)
	}
	for _, t := range req.Tools {
		n += EstimateTokens(t.Name + t.Description + string(t.Parameters))
	}
	return n
}

func estimateMessage(m core.Message) int64 {
	n := EstimateTokens(m.Text)
	for _, c := range m.ToolCalls {
		n += EstimateTokens(c.Name + string(c.Arguments))
	}
	return n
}
