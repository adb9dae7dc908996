package core

import (
	"context"
	"encoding/json"
)

// PeerCall gives an agent that runs elsewhere (behind a protocol, or as a program on this machine) one turn of work.
type PeerCall struct {
	Peer           string // name of the peer in the settings
	Run            string
	IdempotencyKey string // "run:step", the same in every attempt; a peer that knows it does not do the work twice
	Instructions   string // of the agent's file; given at the beginning of a conversation
	Text           string // the task, or the answer to what the peer asked
	Files          []string
	Workspace      string // name of the workspace that the peer may work in: the id of the root run
	Session        string // what PeerEvents.Session was told last in this run, or the last PeerAnswer said; "" = a new conversation
	Interrupted    bool   // an earlier attempt of this very turn was cut off; Session says how far it came
	Caller         Caller // for whom; names whose credentials are used
}

// PeerAnswer is how a turn ended.
type PeerAnswer struct {
	Text    string
	Files   []File // that the peer hands over; they are put into the workspace
	Needs   bool   // the peer needs an answer to Text before it goes on
	Session string // opaque; continues the conversation
	Usage   Usage
}

// PeerEvents is told what happens during a turn. Its functions are all set, and may be called from several goroutines.
type PeerEvents struct {
	// Delta passes on text that the peer writes.
	Delta func(text string)
	// Session records at once what is needed to take up the turn after a crash, such as the id of the peer's task.
	Session func(ctx context.Context, session string) error
	// Ask asks a person whether the peer may do something, and waits for the decision.
	Ask func(ctx context.Context, q PeerQuestion) (Verdict, error)
}

// PeerQuestion is what a peer wants to do and may not without a person.
type PeerQuestion struct {
	Tool      string          // what it wants to use, in its own words
	Arguments json.RawMessage // a JSON object
	Effect    Effect
}

// PeerStatus says how a peer does.
type PeerStatus struct {
	Name        string `json:"name"`
	Protocol    string `json:"protocol"` // a2a | acp | jsonl
	State       string `json:"state"`    // healthy | unhealthy | unknown
	Description string `json:"description"`
	Detail      string `json:"detail"`
}
