package budget

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

func someRecord(seq int64) record {
	at := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	return record{
		seq: seq,
		key: core.UsageKey{Hour: 492_000 + seq, Project: "team", Key: "", Agent: "clerk\x00\"", Model: "openai/gpt", Kind: core.UsageEmbed},
		sum: core.UsageSum{Requests: 1, Errors: 1, CacheHits: 1, Usage: core.Usage{InputTokens: 1 << 40, OutputTokens: 2, CachedTokens: 3, CostMicroUSD: 4}, SavedMicroUSD: 5, TookMS: 6},
		charges: []charge{
			{core.BudgetRef{ID: "a", Made: at.Add(time.Millisecond), Window: at}, core.Amount{CostMicroUSD: 4, Tokens: 7}, core.Amount{Tokens: 8}},
			{core.BudgetRef{ID: "total", Made: at}, core.Amount{CostMicroUSD: 4, Tokens: 7}, core.Amount{}},
		},
	}
}

func readAll(t *testing.T, j *journal) (out []record, torn int) {
	t.Helper()
	torn, err := j.read(func(r record) { out = append(out, r) })
	if err != nil {
		t.Fatal(err)
	}
	return out, torn
}

func TestAJournalThatWasCutAnywhereGivesEveryWholeRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := newJournal(dir)
	if err := j.open(); err != nil {
		t.Fatal(err)
	}
	var want []record
	var ends []int64
	for seq := range int64(3) {
		r := someRecord(seq + 1)
		if seq == 1 {
			r.charges = nil
		}
		if err := j.append(r); err != nil {
			t.Fatal(err)
		}
		want, ends = append(want, r), append(ends, j.size)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if err := j.append(want[0]); err == nil {
		t.Error("a closed journal takes a record")
	}
	whole, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		j := newJournal(t.TempDir())
		if err := os.WriteFile(j.path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < len(ends) && int64(cut) >= ends[n] {
			n++
		}
		rest := cut
		if n > 0 {
			rest -= int(ends[n-1])
		}
		got, torn := readAll(t, j)
		if len(got) != n || n > 0 && !reflect.DeepEqual(got, want[:n]) || torn != rest {
			t.Fatalf("cut at %d: %d records and %d bytes, want %d and %d", cut, len(got), torn, n, rest)
		}
	}
	for i := range whole { // damage: nothing that is read is wrong
		j := newJournal(t.TempDir())
		damaged := append([]byte{}, whole...)
		damaged[i] ^= 0x40
		if err := os.WriteFile(j.path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		got, torn := readAll(t, j)
		if len(got) >= len(want) || torn == 0 || len(got) > 0 && !reflect.DeepEqual(got, want[:len(got)]) {
			t.Fatalf("byte %d damaged: %d records", i, len(got))
		}
	}
}

func TestTheRecordAfterAFailedWriteStandsInItsPlace(t *testing.T) {
	t.Parallel()
	j := newJournal(t.TempDir())
	if err := j.open(); err != nil {
		t.Fatal(err)
	}
	if err := j.append(someRecord(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := j.file.WriteAt([]byte("half a record, then the disk was full, and it is longer than the next one will be"+string(make([]byte, 500))), j.size); err != nil {
		t.Fatal(err)
	}
	if err := j.append(someRecord(2)); err != nil {
		t.Fatal(err)
	}
	if got, _ := readAll(t, j); len(got) != 2 || got[1].seq != 2 {
		t.Errorf("%d records", len(got))
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}
