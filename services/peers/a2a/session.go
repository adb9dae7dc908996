package a2a

import (
	"encoding/json"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// session is what a conversation with a peer has come to. It is kept with the run.
type session struct {
	Context string     `json:"context,omitempty"`
	Task    a2a.TaskID `json:"task,omitempty"`
	Open    bool       `json:"open,omitempty"`  // the task waits for an answer of ours
	Asked   string     `json:"asked,omitempty"` // id of the message in which it asked
	Turn    string     `json:"turn,omitempty"`  // key of the turn whose message was sent last
	Message string     `json:"message,omitempty"`
	Told    bool       `json:"told,omitempty"` // it was told that nobody knows what became of it: a further attempt may send it again
}

func parseSession(text string) session {
	var s session
	_ = json.Unmarshal([]byte(text), &s) // what is no session of ours is a new conversation
	return s
}

func (s session) String() string {
	b, err := json.Marshal(s)
	if err != nil { // texts only: it cannot happen
		return ""
	}
	return string(b)
}
