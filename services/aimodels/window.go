package aimodels

// Window is how many tokens of conversation and answer fit the model, or the tightest of a route's targets; 0 = not known.
func (g *Gateway) Window(model string) int {
	r, err := g.resolve(model)
	if err != nil {
		return 0
	}
	tightest := 0
	for _, t := range r.targets {
		w, ok := g.cfg.Windows[t.String()]
		if !ok {
			w = g.cfg.Windows[t.Provider+"/*"]
		}
		if w > 0 && (tightest == 0 || w < tightest) {
			tightest = w
		}
	}
	return tightest
}
