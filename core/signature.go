package core

import "strings"

// Maker is whose models have thought something. What a model thinks may end with a signature, or come sealed, and only the
// servers of its maker take that back: others refuse the whole request. So a Part's Signature, and the Data of one that is
// sealed, begins with a mark that tells the maker. Providers put it on and take it off; a client that speaks the maker's own
// dialect never sees it.
type Maker string

// The makers.
const (
	MakerAnthropic Maker = "anthropic" // Claude, whoever's servers it runs on
	MakerOpenAI    Maker = "openai"
	MakerGemini    Maker = "gemini"
	MakerBedrock   Maker = "bedrock" // AWS's own form, whichever model thought
)

// SignatureMark begins every mark. No maker's signature begins so, for base64 has no tilde.
const SignatureMark = "~sutazai."

// Unsigned stands in the place of a signature where nobody has signed a thought, so that one that comes back from a client
// is known as such. It is no maker's own.
const Unsigned = SignatureMark + "none:"

// Mark tells whose a signature is. One that is empty or has a mark stays as it is.
func (m Maker) Mark(signature string) string {
	if signature == "" || strings.HasPrefix(signature, SignatureMark) {
		return signature
	}
	return SignatureMark + string(m) + ":" + signature
}

// Own returns a signature without its mark; ok is false for another maker's, for one without a mark and for none.
func (m Maker) Own(marked string) (signature string, ok bool) {
	rest, ok := strings.CutPrefix(marked, SignatureMark+string(m)+":")
	return rest, ok && rest != ""
}

// Shown is a signature as clients of the maker's dialect see it: the maker's own without the mark, others' with it.
func (m Maker) Shown(marked string) string {
	if own, ok := m.Own(marked); ok {
		return own
	}
	return marked
}
