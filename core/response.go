package core

import (
	"encoding/json"
	"time"
)

// ResponseState says what of a stored response is there.
type ResponseState string

// The states.
const (
	ResponseWhole   ResponseState = "whole"   // everything: a conversation can go on from it with any model
	ResponsePartial ResponseState = "partial" // a part of its conversation is elsewhere, or was too large to be kept
	ResponseDeleted ResponseState = "deleted" // its owner took it back; the row only keeps others from asking for it
)

// StoredResponse is an answer of the Responses API that is kept so that a later call can go on from it.
type StoredResponse struct {
	ID        string
	Owner     string // the actor who may see it, as in Caller.Actor
	State     ResponseState
	Model     string
	Previous  string          // id of the response that it goes on from, or ""
	Input     json.RawMessage // JSON array of the items that the client sent, without those of earlier responses; nil = not kept
	Response  json.RawMessage // the response object as the client got it; nil = not kept
	CreatedAt time.Time
	ExpiresAt time.Time
}
