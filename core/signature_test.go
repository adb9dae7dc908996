package core_test

import (
	"testing"

	"github.com/sutazai/sutazai/core"
)

func TestASignatureIsItsMakersAlone(t *testing.T) {
	t.Parallel()
	makers := []core.Maker{core.MakerAnthropic, core.MakerOpenAI, core.MakerGemini, core.MakerBedrock}
	for _, of := range makers {
		marked := of.Mark("c2ln")
		if of.Mark(marked) != marked || of.Mark("") != "" {
			t.Errorf("%s marks twice, or nothing", of)
		}
		for _, asked := range makers {
			own, ok := asked.Own(marked)
			if mine := asked == of; ok != mine || mine && own != "c2ln" {
				t.Errorf("%s takes %q of %s for its own: %q, %t", asked, marked, of, own, ok)
			}
			// A client keeps what it is shown, and what comes back from it is the same again.
			if back := asked.Mark(asked.Shown(marked)); back != marked {
				t.Errorf("%q went through the dialect of %s and is %q", marked, asked, back)
			}
		}
	}
	for _, none := range []string{"", "c2ln", core.MakerAnthropic.Mark("") + core.SignatureMark + "anthropic:"} {
		if own, ok := core.MakerAnthropic.Own(none); ok {
			t.Errorf("%q is taken for %q", none, own)
		}
	}
}
