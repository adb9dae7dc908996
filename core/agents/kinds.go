package agents

import (
	"math"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/yamlnode"
)

// Bounds of a team.
const (
	leastMembers = 2
	mostMembers  = 20
	mostRounds   = 100
)

// kinds lists which settings belong to which kind of agent, besides those that all have.
func kinds() map[core.AgentKind][]string {
	return map[core.AgentKind][]string{
		core.AgentLLM:     {"model", "temperature", "max_tokens", "tools", "agents", "handoffs", "skills", "knowledge"},
		core.AgentRemote:  {"peer", "effect"},
		core.AgentProcess: {"peer", "effect"},
		core.AgentHuman:   {"queue"},
		core.AgentTeam:    {"team", "model", "temperature", "max_tokens"},
	}
}

// suits checks that the settings belong to the agent's kind.
func (p *reader) suits(seen map[string]bool) {
	kind := p.agent.KindOf()
	own := kinds()[kind]
	for _, others := range kinds() {
		for _, key := range others {
			if seen[key] && !slices.Contains(own, key) {
				p.problem(1, "%q does not belong to an agent of the kind %s", key, kind)
				delete(seen, key) // told once
			}
		}
	}
	switch {
	case (kind == core.AgentRemote || kind == core.AgentProcess) && !seen["peer"]:
		p.problem(1, `an agent of the kind %s needs "peer": the name of one of the settings' peers`, kind)
	case kind == core.AgentTeam && !seen["team"]:
		p.problem(1, `an agent of the kind team needs "team": {pattern: sequential, members: [a, b]}`)
	}
}

// word reads one of several words.
func (p *reader) word(n ast.Node, line int, what string, valid ...string) (string, bool) {
	s, ok := p.text(n, line, what)
	if ok && !slices.Contains(valid, s) {
		p.problem(line, "%s", p.known.unknown(what, s, valid))
		return "", false
	}
	return s, ok
}

func (p *reader) kind(n ast.Node, line int) {
	s, ok := p.word(n, line, "kind", string(core.AgentLLM), string(core.AgentRemote), string(core.AgentProcess), string(core.AgentHuman), string(core.AgentTeam))
	if ok {
		p.agent.Kind = core.AgentKind(s)
	}
}

func (p *reader) peer(n ast.Node, line int) {
	if s, ok := p.word(n, line, "peer", p.known.Peers...); ok {
		p.agent.Peer = s
		if p.agent.Effect == "" {
			p.agent.Effect = p.known.PeerEffects[s]
		}
	}
}

func (p *reader) effect(n ast.Node, line int) {
	s, ok := p.word(n, line, "effect", string(core.EffectReadOnly), string(core.EffectIdempotent), string(core.EffectUnsafe))
	if ok {
		p.agent.Effect = core.Effect(s)
	}
}

func (p *reader) queue(n ast.Node, line int) {
	s, ok := p.text(n, line, "queue")
	if !ok {
		return
	}
	if msg := checkName(s); msg != "" {
		p.problem(line, "queue: %s", msg)
		return
	}
	p.agent.Queue = s
}

func (p *reader) handoffs(n ast.Node, line int) {
	p.agent.Handoffs = p.names(n, line, "handoffs", "agent", p.known.Agents)
	if slices.Contains(p.agent.Handoffs, nameOf(p.file)) {
		p.problem(line, "an agent cannot hand a conversation to itself; remove %q", nameOf(p.file))
	}
}

func (p *reader) skills(n ast.Node, line int) {
	p.agent.Skills = p.names(n, line, "skills", "skill", p.known.Skills)
}

// team reads how a team works; its members are whom it may delegate to.
func (p *reader) team(n ast.Node, line int) {
	t := core.Team{}
	seen := p.mapping(n, line, "team", "key", map[string]field{
		"pattern": func(n ast.Node, l int) {
			s, _ := p.word(n, l, "pattern", string(core.TeamSequential), string(core.TeamParallel), string(core.TeamGroup), string(core.TeamDebate), string(core.TeamVote))
			t.Pattern = core.TeamPattern(s)
		},
		"members": func(n ast.Node, l int) { t.Members = p.names(n, l, "members", "agent", p.known.Agents) },
		"rounds":  func(n ast.Node, l int) { t.Rounds = int(p.positive(n, l, "rounds", mostRounds)) },
		"choices": func(n ast.Node, l int) { t.Choices = p.texts(n, l, "choices") },
	})
	if seen == nil {
		return
	}
	switch votes := t.Pattern == core.TeamVote; {
	case !seen["pattern"]:
		p.problem(line, "a team needs a pattern: sequential, parallel, group, debate or vote")
	case len(t.Members) < leastMembers || len(t.Members) > mostMembers:
		p.problem(line, "a team has from %d to %d members, not %d", leastMembers, mostMembers, len(t.Members))
	case slices.Contains(t.Members, nameOf(p.file)):
		p.problem(line, "a team cannot be a member of itself; remove %q", nameOf(p.file))
	case votes && len(t.Choices) < 2:
		p.problem(line, "a vote needs at least two choices, such as [yes, no]")
	case !votes && seen["choices"]:
		p.problem(line, "choices belong to the pattern vote")
	case seen["rounds"] && t.Pattern != core.TeamGroup && t.Pattern != core.TeamDebate:
		p.problem(line, "rounds belong to the patterns group and debate")
	}
	p.agent.Team, p.agent.Agents = &t, t.Members
}

// texts reads a list of texts, each once.
func (p *reader) texts(n ast.Node, line int, what string) []string {
	items, ok := yamlnode.Sequence(n)
	if !ok || len(items) > math.MaxUint8 {
		p.problem(line, "%s must be a list of texts, such as [a, b], not %s", what, yamlnode.Describe(n))
		return nil
	}
	var out []string
	for _, item := range items {
		s, ok := p.text(item, lineOf(item), "an entry of "+what)
		switch {
		case !ok:
		case slices.Contains(out, s):
			p.problem(lineOf(item), "%s: %q stands here a second time", what, s)
		default:
			out = append(out, s)
		}
	}
	return out
}
