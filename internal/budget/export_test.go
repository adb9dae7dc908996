package budget

// Abandon leaves everything as a killed process does: nothing is committed or given back.
func (l *Ledger) Abandon() {
	l.quit()
	<-l.stopped
	l.order.Lock()
	defer l.order.Unlock()
	_ = l.journal.close()
}
