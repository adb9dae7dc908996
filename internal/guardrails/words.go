package guardrails

// words finds many words in one pass over a text (Aho and Corasick, 1975), the case of ASCII letters ignored.
type words struct {
	class [256]uint8 // bytes that no word has are class 0
	width int        // number of classes
	next  []int32    // state*width + class → state*width of the next one
	ends  [][]int32  // state → the words that end there
	sizes []int32    // length of each word
}

// newWords builds the automaton; words are in lower case and not empty. nil = there are none.
func newWords(list []string) *words {
	if len(list) == 0 {
		return nil
	}
	w := &words{width: 1}
	for _, word := range list {
		for i := range len(word) {
			c := word[i]
			if w.class[c] == 0 {
				w.class[c] = uint8(w.width)
				w.width++
			}
			if c >= 'a' && c <= 'z' {
				w.class[c-'a'+'A'] = w.class[c]
			}
		}
	}
	w.grow()
	for id, word := range list {
		w.sizes = append(w.sizes, int32(len(word)))
		state := int32(0)
		for i := range len(word) {
			at := state*int32(w.width) + int32(w.class[word[i]])
			if w.next[at] == 0 {
				w.next[at] = w.grow()
			}
			state = w.next[at]
		}
		w.ends[state] = append(w.ends[state], int32(id))
	}
	w.link()
	for i := range w.next {
		w.next[i] *= int32(w.width)
	}
	return w
}

func (w *words) grow() int32 {
	w.next = append(w.next, make([]int32, w.width)...)
	w.ends = append(w.ends, nil)
	return int32(len(w.ends) - 1)
}

// link turns the tree of words into an automaton that never looks back.
func (w *words) link() {
	fail := make([]int32, len(w.ends))
	queue := []int32{0}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		row := w.next[int(state)*w.width : (int(state)+1)*w.width]
		for c, to := range row {
			other := int32(0)
			if state != 0 {
				other = w.next[int(fail[state])*w.width+c]
			}
			if to == 0 {
				row[c] = other
				continue
			}
			fail[to] = other
			w.ends[to] = append(w.ends[to], w.ends[other]...)
			queue = append(queue, to)
		}
	}
}

// any says whether text holds one of the words.
func (w *words) any(text string) bool {
	found := false
	w.each(text, func(int, int32) bool { found = true; return false })
	return found
}

// each calls hit with the offset and number of every word in text, in the order of their ends, until it says false.
func (w *words) each(text string, hit func(start int, id int32) bool) {
	state, width := int32(0), int32(w.width)
	for i := range len(text) {
		state = w.next[state+int32(w.class[text[i]])]
		if state == 0 {
			continue
		}
		for _, id := range w.ends[state/width] {
			if !hit(i+1-int(w.sizes[id]), id) {
				return
			}
		}
	}
}
