//go:build chaos

// Package chaos kills the real server at random moments while many runs are under way, on each database, and then
// compares what the server says with what really happened: a ledger of effects and the model's own record are kept
// outside of it.
//
// CHAOS_KILLS is the number of kills for each database (50), CHAOS_SEED makes the random choices of a run again.
package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database/databasetest"
	"github.com/sutazai/sutazai/tests/testserver"
)

const (
	runsAtOnce = 20
	// settlePatience bounds how long runs may take after the last kill; a run that is not final then is stuck.
	settlePatience = 2 * time.Minute
	// resumeBound is how soon, after a restart, interrupted runs must go on (99 of 100).
	resumeBound = 5 * time.Second
)

func TestKills(t *testing.T) {
	kills := number(t, "CHAOS_KILLS", 50)
	seed := uint64(number(t, "CHAOS_SEED", int(time.Now().UnixNano()%1_000_000)))
	binary := testserver.Build(t, "chaos")
	t.Run("sqlite", func(t *testing.T) { torture(t, "sqlite", binary, "", kills, seed) })
	t.Run("postgres", func(t *testing.T) {
		if os.Getenv(databasetest.EnvPostgres) == "" {
			fmt.Printf("RESULT chaos backend=postgres skipped=1 reason=%s_is_not_set\n", databasetest.EnvPostgres)
			t.Skip("there is no PostgreSQL")
		}
		torture(t, "postgres", binary, databasetest.NewPostgres(t), kills, seed)
	})
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%q is not a number", name, text)
	}
	return n
}

// life is one process of the server.
type life struct {
	began, killed time.Time // killed is zero for the last one
	served        bool      // it got as far as serving
	interrupted   []string  // tasks that were being worked on when it was killed
}

func torture(t *testing.T, backend, binary, databaseURL string, kills int, seed uint64) {
	began := time.Now()
	w := newWorld(seed)
	model, ledger := httptest.NewServer(w.modelServer()), httptest.NewServer(w.ledgerHandler())
	t.Cleanup(model.Close)
	t.Cleanup(ledger.Close)
	dir := testserver.Dir(t)
	options := testserver.Options{Binary: binary, DataDir: dir, Env: []string{
		"SUTAZAI_DATABASE_URL=" + databaseURL,
		"SUTAZAI_AGENTS_DIR=" + filepath.Join(dir, "agents"),
		"SUTAZAI_TEST_LEDGER=" + ledger.URL,
		"SUTAZAI_MODELS_PROVIDERS_FAKE_KIND=openai",
		"SUTAZAI_MODELS_PROVIDERS_FAKE_BASE_URL=" + model.URL + "/v1",
		"SUTAZAI_MODELS_ROUTES_DEFAULT=[{target: fake/m}]",
		"SUTAZAI_SERVER_RATE_LIMIT_PER_KEY_PER_MINUTE=1000000",
		"SUTAZAI_SERVER_RATE_LIMIT_PER_ADDRESS_PER_MINUTE=1000000",
	}}
	if err := os.MkdirAll(filepath.Join(dir, "agents"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range agentFiles() {
		if err := os.WriteFile(filepath.Join(dir, "agents", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := &killer{t: t, options: options, load: &load{world: w, said: map[string][]core.Decision{}}, dice: rand.New(rand.NewPCG(seed, 2))}
	server := k.start()
	defer func() { k.current.Load().Kill() }() // also when the test fails
	key, err := testserver.CreateKey(t.Context(), options, "chaos", "read", "run", "approve")
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	k.load.client = &testserver.Client{Key: key, HTTP: &http.Client{}, URL: func() string { return *k.url.Load() }}

	watching, stopWatching := context.WithCancel(t.Context())
	starting, stopStarting := context.WithCancel(watching)
	defer stopStarting()
	var starter, watchers, people sync.WaitGroup
	defer people.Wait()
	defer watchers.Wait()
	defer starter.Wait()
	defer stopWatching() // ends starting as well
	starter.Go(func() { k.load.keepStarting(starting, watching, runsAtOnce, &watchers) })
	people.Go(func() { k.load.decide(watching) })

	k.killMany(server, kills)
	stopStarting()
	starter.Wait()
	k.settle()
	stopWatching()
	watchers.Wait()
	people.Wait()

	v := k.verify()
	if err := k.current.Load().Stop(); err != nil {
		v.violate("lost", "", "the server did not stop in order: %v", err)
	}
	v.report(backend, kills, seed, time.Since(began))
}

// killer runs the server and kills it.
type killer struct {
	t       *testing.T
	options testserver.Options
	load    *load
	dice    *rand.Rand
	url     atomic.Pointer[string]
	current atomic.Pointer[testserver.Process]
	lives   []life
}

// start starts the server, which must come up by itself whatever the kill before left.
func (k *killer) start() *testserver.Process {
	p, err := testserver.Start(k.t.Context(), k.options)
	if err != nil {
		k.t.Fatalf("after %d kills: %v", max(0, len(k.lives)-1), err)
	}
	k.url.Store(&p.URL)
	k.current.Store(p)
	k.lives = append(k.lives, life{began: p.Began, served: true})
	return p
}

// killMany kills the server at random moments: of five kills, four while it serves and one while it starts, that is while
// it recovers from the kill before.
func (k *killer) killMany(p *testserver.Process, kills int) {
	for n := 1; n <= kills; n++ {
		if n > 1 && k.dice.IntN(5) == 0 {
			p = k.launch()
			time.Sleep(time.Duration(k.dice.IntN(300)) * time.Millisecond)
		} else {
			if n > 1 {
				p = k.start()
			}
			k.waitForWork()
			time.Sleep(time.Duration(50+k.dice.IntN(1450)) * time.Millisecond)
		}
		if p.Ended() {
			k.t.Fatalf("the server ended by itself before kill %d; the end of its log:\n%s", n, testserver.LogTail(k.options.DataDir))
		}
		l := &k.lives[len(k.lives)-1]
		for _, task := range k.load.all() {
			task.mu.Lock()
			if task.run != "" && task.active && !task.final {
				l.interrupted = append(l.interrupted, task.name)
			}
			task.mu.Unlock()
		}
		l.killed = time.Now()
		p.Kill()
		if n%10 == 0 {
			open, active := k.load.count()
			k.t.Logf("progress %d of %d kills, %d runs started, %d open, %d active", n, kills, len(k.load.all()), open, active)
		}
	}
	k.start()
}

// launch starts the server without waiting until it serves.
func (k *killer) launch() *testserver.Process {
	p, _, err := testserver.Launch(k.options)
	if err != nil {
		k.t.Fatalf("start the server: %v", err)
	}
	k.current.Store(p)
	k.lives = append(k.lives, life{began: p.Began})
	return p
}

// waitForWork waits until runs are being worked on: a kill of an idle server shows nothing.
func (k *killer) waitForWork() {
	deadline := time.Now().Add(settlePatience)
	for {
		if _, active := k.load.count(); active > 0 {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("no run is being worked on %s after a restart; the end of the log:\n%s", settlePatience, testserver.LogTail(k.options.DataDir))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// settle waits until every run has ended, or for as long as that may take.
func (k *killer) settle() {
	deadline := time.Now().Add(settlePatience)
	for {
		open, _ := k.load.count()
		if open == 0 || time.Now().After(deadline) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
