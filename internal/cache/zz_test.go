package cache_test
import ("testing";"github.com/sutazai/sutazai/internal/cache")
func TestZZ(t *testing.T){
	for _, mem := range []int64{1<<20, 8<<20, 64<<20} {
	c := open(t, cache.Options{Memory: mem})
	n := int(mem/(10<<10)) ; hot := n/5
	for i := range hot { c.Put(space("p"), key(i), make([]byte, 10<<10), 0) }
	cnt:=0
	for i := range hot { if _, ok := c.Get(t.Context(), space("p"), key(i)); ok {cnt++} }
	t.Log("hot after put", cnt)
	for range 50 { for i := range hot { c.Get(t.Context(), space("p"), key(i)) } }
	for k:=0;k<10;k++ {
		for i := 0; i < n; i++ { c.Put(space("p"), key(100000+k*n+i), make([]byte, 10<<10), 0) }
		cnt=0
		for i := range hot { if _, ok := c.Get(t.Context(), space("p"), key(i)); ok {cnt++} }
		t.Log("hot after scan", cnt, "of", hot)
	}}
}
